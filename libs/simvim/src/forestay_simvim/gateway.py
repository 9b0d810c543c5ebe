"""Between HTTP and the services: journal, latency, injected faults, token check, JSON, errors.

The order of a request: it is journaled, delayed, struck by a fault before acting, checked (401), acted on, struck by a fault
after acting, answered.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from forestay_simvim.cloud import Cloud
from forestay_simvim.errors import ServiceError
from forestay_simvim.faults import CallFault
from forestay_simvim.heat.model import MISTAKES
from forestay_simvim.ids import request_id
from forestay_simvim.journal import Entry
from forestay_simvim.web import Call, Handler, Reply, Service

Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """Makes aiohttp handlers out of the services' route tables."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def mount(self, app: web.Application, service: Service) -> None:
        """Add a service's routes, and its 404 for all other paths under its prefix."""
        for method, path, handler in service.open_routes:
            app.router.add_route(method, service.prefix + path, self._endpoint(service, handler, needs_token=False))
        for method, path, handler in service.routes:
            app.router.add_route(method, service.prefix + path, self._endpoint(service, handler, needs_token=True))
        missing = self._endpoint(service, _not_found, needs_token=True)
        app.router.add_route("*", service.prefix + "/{rest:.*}", missing)

    def _endpoint(self, service: Service, handler: Handler, *, needs_token: bool) -> Endpoint:
        async def endpoint(request: web.Request) -> web.StreamResponse:
            raw = await request.read()
            body, problem = _decoded(request, raw)
            began = time.monotonic()
            entry = self.cloud.journal.open(service.name, request.method, request.path_qs, body)
            call = Call(
                self.cloud, request.method, request.match_info, request.query, request.headers, body, raw,
                f"{request.scheme}://{request.host}", request.path,
            )  # fmt: skip
            try:
                reply = await self._serve(request, service, handler, call, entry, problem, needs_token=needs_token)
                entry.status = reply.status
            finally:
                entry.seconds = round(time.monotonic() - began, 6)
            return reply

        return endpoint

    async def _serve(
        self, request: web.Request, service: Service, handler: Handler, call: Call, entry: Entry,
        problem: ServiceError | None, *, needs_token: bool,
    ) -> web.StreamResponse:  # fmt: skip
        await asyncio.sleep(_setting(self.cloud.settings.latency, service.name))
        if random.random() < _setting(self.cloud.settings.error_rate, service.name):  # noqa: S311 - not for secrets
            entry.fault = "error_rate"
            return self._answer(
                service, _failed(service, ServiceError("ServiceUnavailable", 503, "injected by error_rate"))
            )
        faults = self.cloud.faults.for_call(service.name, request.method, request.path_qs)
        struck = await self._strike(request, service, entry, [each for each in faults if each.when == "before"])
        if struck is not None:
            return struck
        reply = self._act(service, handler, call, entry, problem, needs_token=needs_token)
        struck = await self._strike(request, service, entry, [each for each in faults if each.when == "after"])
        return struck if struck is not None else self._answer(service, reply)

    def _act(
        self, service: Service, handler: Handler, call: Call, entry: Entry, problem: ServiceError | None, *,
        needs_token: bool,
    ) -> Reply:  # fmt: skip
        try:
            if needs_token:
                call.token = self.cloud.identity.check(call.headers.get("X-Auth-Token"))
                entry.project = call.token.project_id
                _check_tenant(call)
            if problem is not None:
                raise problem
            headers = service.headers(call)
            result = handler(call)
            reply = result if isinstance(result, Reply) else Reply(200, result)
            reply.headers = headers | reply.headers
        except ServiceError as error:
            return _failed(service, error)
        except MISTAKES as error:
            # A body of the wrong shape: the real services refuse it by their schemas.
            return _failed(service, ServiceError("BadRequest", 400, f"Invalid input: {type(error).__name__}: {error}"))
        return reply

    async def _strike(
        self, request: web.Request, service: Service, entry: Entry, faults: list[CallFault]
    ) -> web.StreamResponse | None:
        for fault in faults:
            entry.fault = fault.id
            await asyncio.sleep(fault.delay)
            if fault.effect == "status":
                error = ServiceError(HTTPStatus(fault.status).phrase.replace(" ", ""), fault.status, fault.message)
                if fault.retry_after is not None:
                    error.headers["Retry-After"] = str(fault.retry_after)
                return self._answer(service, _failed(service, error))
            if fault.effect == "hang":
                await asyncio.Event().wait()
            if fault.effect == "reset":
                if request.transport is not None:
                    request.transport.abort()
                return web.Response(status=499)
        return None

    def _answer(self, service: Service, reply: Reply) -> web.Response:
        identifier = request_id()
        headers = reply.headers | {"X-OpenStack-Request-Id": identifier, "X-Compute-Request-Id": identifier}
        if isinstance(reply.body, bytes):
            return web.Response(status=reply.status, body=reply.body, headers=headers, content_type=reply.content_type)
        if reply.body is None and reply.status != HTTPStatus.OK:
            return web.Response(status=reply.status, headers=headers)
        data = msgspec.json.encode(reply.body)
        return web.Response(status=reply.status, body=data, headers=headers, content_type="application/json")


def _decoded(request: web.Request, raw: bytes) -> tuple[Any, ServiceError | None]:
    if not raw or "octet-stream" in request.content_type:
        return None, None
    try:
        return msgspec.json.decode(raw), None
    except msgspec.DecodeError as error:
        return None, ServiceError("HTTPBadRequest", 400, f"The server could not comply with the request: {error}")


def _setting(values: dict[str, float], service: str) -> float:
    return values.get(service, values.get("*", 0.0))


def _failed(service: Service, error: ServiceError) -> Reply:
    body = service.error_body(error)
    headers = dict(error.headers)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Keystone uri='/identity'"
    return Reply(error.status, body, headers, "text/html" if isinstance(body, bytes) else "application/json")


def _not_found(call: Call) -> Reply:
    raise ServiceError("HTTPNotFound", 404, "The resource could not be found.")


def _check_tenant(call: Call) -> None:
    """Where a URL names a project, it has to be the token's own, unless an admin asks."""
    tenant = call.path.get("tenant") or (call.path.get("project") if "/volume/" in call.url_path else None)
    if tenant is not None and tenant != call.project and not call.caller.is_admin:
        raise ServiceError("Forbidden", 403, "You are not authorized to use this action.")

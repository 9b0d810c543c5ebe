"""The resources "Subscriptions" and "Individual subscription" of any interface (SOL013 5.8, wire section 5.1), and our additions:
``deliveries``, the log of what was sent to a subscriber, and ``redeliver``.

Selectors do not apply to subscriptions; attribute filters and paging do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import structlog
from aiohttp import web
from forestay_events.database import answering
from forestay_events.errors import Rejected
from forestay_events.freshness import caught_up, version_of
from forestay_events.platform import Platform
from forestay_sol.api import Api, Route
from forestay_sol.body import decode, decode_optional
from forestay_sol.caller import caller
from forestay_sol.listing import Listing
from forestay_sol.paging import Paging
from forestay_sol.parameters import FILTER, PAGE
from forestay_sol.selectors import Attributes
from forestay_sol.types import Identifier, Link, Sol
from forestay_sol.web import answer

from forestay_notify.authentication import SubscriptionAuthentication, Uri, check
from forestay_notify.callbacks import Callbacks
from forestay_notify.delivery_log import Delivery, DeliveryLog
from forestay_notify.housekeeping import Subscriptions
from forestay_notify.subscription import (
    AUTHENTICATION,
    Dialect,
    Json,
    Redeliver,
    Subscribe,
    Subscription,
    SubscriptionDefinition,
    Unsubscribe,
    Verbosity,
)

log = structlog.get_logger(__name__)


class SubscriptionRequest(Sol, frozen=True, kw_only=True):
    """Base of the interfaces' requests; each has a type for its filter. Where there is no verbosity, it is not shown."""

    callback_uri: Uri
    filter: Any = None
    authentication: SubscriptionAuthentication | None = None
    verbosity: Verbosity = "FULL"


class RedeliveryRequest(Sol, frozen=True, kw_only=True):
    """The body of ``redeliver``, which may be missing: then all that was not delivered is."""

    notification_ids: tuple[Identifier, ...] = ()
    since: datetime | None = None


class ShownSubscription(Sol, frozen=True, kw_only=True):
    """The attributes of a subscription in answers."""

    id: Identifier
    filter: Any = None
    callback_uri: Uri
    verbosity: Verbosity | None = None
    links: dict[str, Link] = msgspec.field(name="_links")


@dataclass(frozen=True)
class Resource:
    """The subscriptions of one interface.

    :ivar name: of the data type, for answers: ``LccnSubscription``.
    :ivar path: ``/vnflcm/v2/subscriptions``.
    :ivar version: of the notifications, for their ``Version`` header; ``None``: without one.
    :ivar schema: of the read model.
    :ivar verbose: whether the representation shows the verbosity.
    :ivar dialect: in which this resource's subscribers are told, if it is that of an older version of the interface.
    :ivar dialects: all that the interface knows, by name.
    """

    name: str
    path: str
    api: Api
    request: type[SubscriptionRequest]
    schema: str
    definition: SubscriptionDefinition
    version: str | None
    verbose: bool = True
    dialect: str = ""
    dialects: Mapping[str, Dialect] = field(default_factory=dict[str, Dialect])

    def document(self, subscription: Subscription) -> Json:
        """The representation without links and, for ever, without the authentication."""
        shown: Json = {"id": subscription.id, "callbackUri": subscription.callback_uri}
        if subscription.filter is not None:
            shown["filter"] = subscription.filter
        return shown | ({"verbosity": subscription.verbosity} if self.verbose else {})


class SubscriptionApi:
    """The handlers.

    :param callbacks: gives the client once it is open.
    :param test: ask callbacks whether they are one.
    """

    def __init__(
        self,
        platform: Platform,
        resource: Resource,
        subscriptions: Subscriptions,
        deliveries: DeliveryLog,
        callbacks: Callable[[], Callbacks],
        *,
        test: bool = True,
    ) -> None:
        self._platform = platform
        self._resource = resource
        self._subscriptions = subscriptions
        self._deliveries = deliveries
        self._callbacks = callbacks
        self._test = test
        self._listing = Listing(
            table=f"{resource.schema}.subscription",
            alive="NOT deleted",
            paging=Paging(),
            attributes=Attributes.of(ShownSubscription, excluded=()),
        )

    def routes(self) -> list[Route]:
        path, api = self._resource.path, self._resource.api
        one = f"{path}/{{id}}"
        return [
            Route(
                "POST", path, self.create, api, summary="Subscribe", takes=self._resource.request,
                gives=ShownSubscription, status=201,
            ),
            Route(
                "GET", path, self.list_all, api, summary="List subscriptions", gives=tuple[ShownSubscription, ...],
                query=(FILTER, *PAGE),
            ),
            Route("GET", one, self.show, api, summary="Show a subscription", gives=ShownSubscription, versioned=True),
            Route("DELETE", one, self.delete, api, summary="Unsubscribe", status=204, versioned=True),
            Route(
                "GET", f"{one}/deliveries", self.list_deliveries, api, summary="List what was sent to the subscriber",
                gives=tuple[Delivery, ...], query=(FILTER, *PAGE),
            ),
            Route(
                "POST", f"{one}/redeliver", self.redeliver, api, summary="Send notifications again",
                takes=RedeliveryRequest | None, status=202,
            ),
        ]  # fmt: skip

    async def create(self, request: web.Request) -> web.Response:
        body = await decode(request, self._resource.request)
        callbacks = self._callbacks()
        callbacks.egress.check(body.callback_uri, "/callbackUri")
        if body.authentication is not None:
            check(body.authentication, callbacks.thumbprint)
        if self._test:
            await callbacks.test(body.callback_uri, body.authentication, self._resource.version)
        id_ = caller(request).new_id("subscription")
        command = Subscribe(
            callback_uri=body.callback_uri,
            filter=msgspec.to_builtins(body.filter),
            authentication=await self._sealed(id_, body.authentication),
            verbosity=body.verbosity,
            dialect=self._resource.dialect,
        )
        state = (await self._subscriptions.execute(id_, command, caller(request).origin())).state
        assert state is not None, "it was just made"  # noqa: S101
        return answer(self._linked(self._resource.document(state)), status=201, location=self._uri(id_))

    async def list_all(self, request: web.Request) -> web.Response:
        stream = self._resource.definition.stream
        await self._platform.positions.wait(self._resource.schema, stream, self._subscriptions.written)
        with answering():
            listed = await self._listing.read(self._platform.pool, caller(request).project, request)
        return answer([self._linked(document) for document in listed.documents], link=listed.link)

    async def show(self, request: web.Request) -> web.Response:
        document, version = await self._versioned(request)
        return answer(self._linked(document), version=version)

    async def delete(self, request: web.Request) -> web.Response:
        await self._execute(request, Unsubscribe())
        return answer(status=204)

    async def list_deliveries(self, request: web.Request) -> web.Response:
        subscription = await self._document(request)
        entries, link = await self._deliveries.page(subscription["id"], request)
        return answer(entries, link=link)

    async def redeliver(self, request: web.Request) -> web.Response:
        body = await decode_optional(request, RedeliveryRequest) or RedeliveryRequest()
        if body.since is not None and body.since.tzinfo is None:
            raise Rejected(400, "A time needs its zone: write it as 2026-01-31T12:00:00Z.", pointer="/since")
        await self._execute(request, Redeliver(body.notification_ids, body.since))
        return answer(status=202)

    async def _execute(self, request: web.Request, command: Unsubscribe | Redeliver) -> None:
        id_ = request.match_info["id"]
        try:
            await self._subscriptions.execute(id_, command, caller(request).origin())
        except Rejected as error:
            raise self._not_found(id_) if error.status == 404 else error from None

    async def _sealed(self, id_: str, authentication: SubscriptionAuthentication | None) -> Json | None:
        if authentication is None:
            return None
        return await self._platform.vault.seal_members(id_, msgspec.to_builtins(authentication), path=AUTHENTICATION)

    async def _document(self, request: web.Request) -> Json:
        """The subscription of a request's path, without links. :raises Rejected: 404."""
        return (await self._versioned(request))[0]

    async def _versioned(self, request: web.Request) -> tuple[Json, int | None]:
        """The same, and its version if the log tells."""
        id_ = request.match_info["id"]
        newest = await caught_up(self._platform, self._resource.schema, self._resource.definition, id_)
        read = "SELECT doc FROM {schema}.subscription WHERE id = $1 AND project = $2 AND NOT deleted"
        with answering():
            document = await self._platform.pool.fetchval(
                read.replace("{schema}", self._resource.schema), id_, caller(request).project
            )
        if document is None:
            raise self._not_found(id_)
        return msgspec.json.decode(document), version_of(newest)

    def _not_found(self, id_: str) -> Rejected:
        return Rejected(404, f"{self._resource.name} {id_} not found.")

    def _uri(self, id_: str) -> str:
        return f"{self._platform.config.endpoint}{self._resource.path}/{id_}"

    def _linked(self, document: Json) -> Json:
        return document | {"_links": {"self": {"href": self._uri(document["id"])}}}

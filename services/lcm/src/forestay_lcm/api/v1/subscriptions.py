"""Subscriptions of version 1: the same resources and the same outbox; who subscribes here is told in the words of version 1."""

from __future__ import annotations

import msgspec
from aiohttp import web
from forestay_events.database import answering
from forestay_events.errors import Rejected
from forestay_lcm.api.v1.refusals import refused_in_v1
from forestay_notify.api import SubscriptionApi, SubscriptionRequest
from forestay_notify.subscription import Json
from forestay_sol.body import decode
from forestay_sol.caller import caller
from forestay_sol.web import answer

_TWIN = """
SELECT id FROM lcm.subscription
WHERE project = $1 AND NOT deleted AND doc ->> 'callbackUri' = $2 AND doc -> 'filter' IS NOT DISTINCT FROM $3::jsonb
    AND convert_from(state, 'UTF8')::jsonb ->> 'dialect' = $4
LIMIT 1
"""


class SubscriptionsV1(SubscriptionApi):
    """Version 1 knows no verbosity, and leads to the subscription that there is rather than making the same once more."""

    async def create(self, request: web.Request) -> web.Response:
        body = await decode(request, self._resource.request)
        twin = await self._twin(caller(request).project, body)
        if twin is not None:
            return answer(status=303, location=self._uri(twin))
        try:
            return await super().create(request)
        except Rejected as error:
            raise refused_in_v1("subscribe", error) from None

    async def _twin(self, project: str, body: SubscriptionRequest) -> str | None:
        """The project's own subscription with the same callback and the same filter."""
        definition = self._resource.definition
        await self._platform.positions.wait(self._resource.schema, definition.stream, self._subscriptions.written)
        filter_ = None if body.filter is None else msgspec.json.encode(body.filter).decode()
        parameters = project, body.callback_uri, filter_, self._resource.dialect
        with answering():
            return await self._platform.pool.fetchval(_TWIN, *parameters)

    def _linked(self, document: Json) -> Json:
        return super()._linked({name: value for name, value in document.items() if name != "verbosity"})

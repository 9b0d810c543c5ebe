"""``/policy/v1/policies``: requests in, commands out; reads of the read model."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from forestay_events.database import answering
from forestay_events.freshness import caught_up, version_of
from forestay_events.platform import Platform
from forestay_sol.api import POLICY_V1, Route
from forestay_sol.body import decode
from forestay_sol.caller import caller
from forestay_sol.listing import Listing
from forestay_sol.parameters import LIST
from forestay_sol.selectors import Attributes
from forestay_sol.web import answer

from forestay_policy.domain.events import Rule
from forestay_policy.domain.policy import POLICY, CreatePolicy, DeletePolicy, PolicyCommand, not_found
from forestay_policy.projections import SCHEMA
from forestay_policy.projections.policies import ShownPolicy
from forestay_policy.reactions import Policies

Json = dict[str, Any]
PATH = "/policy/v1/policies"

POLICIES = Listing(
    table=f"{SCHEMA}.policy",
    alive="NOT deleted",
    attributes=Attributes(
        names=frozenset({"id", *(field.encode_name for field in msgspec.structs.fields(Rule)), "lastReaction"}),
        mandatory=frozenset({"id", "name"}),
    ),
)


class PolicyApi:
    """The handlers."""

    def __init__(self, platform: Platform, policies: Policies) -> None:
        self._platform = platform
        self._policies = policies

    def routes(self) -> list[Route]:
        one = f"{PATH}/{{id}}"
        return [
            Route(
                "POST",
                PATH,
                self.create,
                POLICY_V1,
                summary="Create a policy",
                takes=Rule,
                gives=ShownPolicy,
                status=201,
            ),
            Route(
                "GET",
                PATH,
                self.list_policies,
                POLICY_V1,
                summary="List policies",
                gives=tuple[ShownPolicy, ...],
                query=LIST,
            ),
            Route("GET", one, self.show, POLICY_V1, summary="Show a policy", gives=ShownPolicy, versioned=True),
            Route("DELETE", one, self.delete, POLICY_V1, summary="Delete a policy", status=204, versioned=True),
        ]

    async def create(self, request: web.Request) -> web.Response:
        rule = await decode(request, Rule)
        policy_id = caller(request).new_id("policy")
        await self._execute(request, policy_id, CreatePolicy(rule))
        document, version = await self._versioned(request, policy_id)
        return answer(document, version=version, status=201, location=document["_links"]["self"]["href"])

    async def list_policies(self, request: web.Request) -> web.Response:
        await self._platform.positions.wait(SCHEMA, POLICY.stream, self._policies.written)
        with answering():
            listed = await POLICIES.read(self._platform.pool, caller(request).project, request)
        shown = [listed.selector.apply(self._linked(document)) for document in listed.documents]
        return answer(shown, link=listed.link)

    async def show(self, request: web.Request) -> web.Response:
        document, version = await self._versioned(request, request.match_info["id"])
        return answer(document, version=version)

    async def delete(self, request: web.Request) -> web.Response:
        policy_id = request.match_info["id"]
        await self._execute(request, policy_id, DeletePolicy(policy_id))
        return answer(status=204)

    async def _execute(self, request: web.Request, policy_id: str, command: PolicyCommand) -> None:
        await self._policies.execute(policy_id, command, caller(request).origin())

    async def _versioned(self, request: web.Request, policy_id: str) -> tuple[Json, int | None]:
        newest = await caught_up(self._platform, SCHEMA, POLICY, policy_id)
        with answering():
            document = await self._platform.pool.fetchval(
                "SELECT doc FROM pol.policy WHERE id = $1 AND project = $2 AND NOT deleted",
                policy_id, caller(request).project,
            )  # fmt: skip
        if document is None:
            raise not_found(policy_id)
        return self._linked(msgspec.json.decode(document)), version_of(newest)

    def _linked(self, document: Json) -> Json:
        return document | {"_links": {"self": {"href": f"{self._platform.config.endpoint}{PATH}/{document['id']}"}}}

"""``/v1.0/vims`` and the index ``/v1.0/`` (wire sections 1.7, 2 and 19)."""

from __future__ import annotations

import msgspec
from aiohttp import web
from forestay_events.database import answering
from forestay_sol.api import LEGACY, Route
from forestay_sol.body import decode
from forestay_sol.caller import caller
from forestay_sol.web import answer

from forestay_vim_registry.api.bodies import Registrations, Updates, owner
from forestay_vim_registry.api.listing import PARAMETERS, Json, cut, page
from forestay_vim_registry.domain.state import Vim
from forestay_vim_registry.projections.representation import ManyVims, OneVim, Registered, SelectedVim, resource
from forestay_vim_registry.reads import Reads
from forestay_vim_registry.registry import Registry


class VimApi:
    """The handlers.

    :param endpoint: URL of the API as clients see it, without a slash at the end.
    """

    def __init__(self, registry: Registry, reads: Reads, endpoint: str) -> None:
        self._registry = registry
        self._reads = reads
        self._endpoint = endpoint

    def routes(self) -> list[Route]:
        one = "/v1.0/vims/{id}"
        return [
            Route("GET", "/v1.0/", self.index, LEGACY),
            Route(
                "POST", "/v1.0/vims", self.register, LEGACY, summary="Register a VIM, or several", takes=Registrations,
                gives=Registered, status=201,
            ),
            Route("GET", "/v1.0/vims", self.list_vims, LEGACY, summary="List VIMs", gives=ManyVims, query=PARAMETERS),
            Route("GET", one, self.show, LEGACY, summary="Show a VIM", gives=SelectedVim, query=PARAMETERS[:1], versioned=True),
            Route(
                "PUT", one, self.update, LEGACY, summary="Update a VIM", takes=Updates, gives=OneVim, versioned=True
            ),
            Route("DELETE", one, self.delete, LEGACY, summary="Delete a VIM", status=204, versioned=True),
        ]  # fmt: skip

    async def index(self, request: web.Request) -> web.Response:
        links = [{"rel": "self", "href": f"{self._endpoint}/v1.0/vims"}]
        return answer({"resources": [{"name": "vim", "collection": "vims", "links": links}]})

    async def register(self, request: web.Request) -> web.Response:
        body = await decode(request, Registrations)
        new = body.each()
        vims = await self._registry.register(owner(caller(request), new), [each.new_vim() for each in new])
        shown = [resource(vim) for vim in vims]
        return answer({"vim": shown[0]} if body.vim else {"vims": shown}, status=201)

    async def list_vims(self, request: web.Request) -> web.Response:
        await self._reads.own_writes()
        with answering():
            found = await page(self._reads.pool, caller(request).project, request)
        if found.next is None:
            return answer({"vims": found.vims})
        links = [{"rel": "next", "href": found.next}]
        return answer({"vims": found.vims, "vims_links": links}, link=f'<{found.next}>; rel="next"')

    async def show(self, request: web.Request) -> web.Response:
        vim, version = await self._reads.versioned(caller(request).project, request.match_info["id"])
        return answer({"vim": cut(_plain(vim), request.query)}, version=version)

    async def update(self, request: web.Request) -> web.Response:
        body = await decode(request, Updates)
        vim = await self._registry.update(caller(request), request.match_info["id"], body.vim.change())
        return answer({"vim": resource(vim)})

    async def delete(self, request: web.Request) -> web.Response:
        await self._registry.delete(caller(request), request.match_info["id"])
        return answer(status=204)


def _plain(vim: Vim) -> Json:
    return msgspec.to_builtins(resource(vim))

"""The handlers of version 1: those of version 2 between other requests and other answers."""

from __future__ import annotations

from functools import partial

from aiohttp import hdrs, web
from forestay_events.errors import Rejected
from forestay_events.platform import Platform
from forestay_lcm.api.tasks import TASKS, Prepare
from forestay_lcm.api.v1.asked import AskedV1
from forestay_lcm.api.v1.listings import VNF_INSTANCES_V1, VNF_LCM_OP_OCCS_V1, check_parameters
from forestay_lcm.api.v1.reads import ReadsV1
from forestay_lcm.api.v1.refusals import refused_in_v1
from forestay_lcm.api.v1.representation import LinksV1
from forestay_lcm.api.v1.requests import VnfInfoModificationRequestV1, modification
from forestay_lcm.api.v2 import LcmV2, versions
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.reads import Vnfs
from forestay_sol.api import VNFLCM_V1, Handler, Route
from forestay_sol.body import decode, decode_optional
from forestay_sol.caller import caller
from forestay_sol.web import answer
from msgspec import UNSET

_INSTANCES = "/vnflcm/v1/vnf_instances"
_OP_OCCS = "/vnflcm/v1/vnf_lcm_op_occs"
_TASKS = ("instantiate", "terminate", "heal", "scale", "change_ext_conn")


class LcmV1(LcmV2):
    """VNF instances and operation occurrences."""

    def __init__(self, platform: Platform, vnfs: Vnfs, catalogue: Catalogue) -> None:
        super().__init__(platform, vnfs, ReadsV1(platform, vnfs, catalogue), catalogue)
        self._links = LinksV1(platform.config.endpoint)

    def routes(self) -> list[Route]:
        served: list[tuple[str, str, str, Handler]] = [
            ("create", "POST", _INSTANCES, self.create),
            ("list_instances", "GET", _INSTANCES, self.list_instances),
            ("show_instance", "GET", f"{_INSTANCES}/{{id}}", self.show_instance),
            ("modify", "PATCH", f"{_INSTANCES}/{{id}}", self.modify),
            ("delete", "DELETE", f"{_INSTANCES}/{{id}}", self.delete),
            ("list_op_occs", "GET", _OP_OCCS, self.list_op_occs),
            ("show_op_occ", "GET", f"{_OP_OCCS}/{{id}}", self.show_op_occ),
            ("retry", "POST", f"{_OP_OCCS}/{{id}}/retry", self.retry),
            ("rollback", "POST", f"{_OP_OCCS}/{{id}}/rollback", self.rollback),
            ("fail", "POST", f"{_OP_OCCS}/{{id}}/fail", self.fail),
            ("cancel", "POST", f"{_OP_OCCS}/{{id}}/cancel", self.cancel),
            ("versions", "GET", "/vnflcm/v1/api_versions", versions("/vnflcm/v1", "1.3.0")),
        ]
        served += [(task, "POST", f"{_INSTANCES}/{{id}}/{task}", partial(self.operate, TASKS[task])) for task in _TASKS]
        return [Route(method, path, _refusing(task, handler), VNFLCM_V1) for task, method, path, handler in served]

    async def list_instances(self, request: web.Request) -> web.Response:
        check_parameters(request.query)
        listed = await self._reads.page(VNF_INSTANCES_V1, caller(request).project, request)
        return answer([self._links.of_instance(document) for document in listed.documents], link=listed.link)

    async def modify(self, request: web.Request) -> web.Response:
        given = await decode(request, VnfInfoModificationRequestV1)
        vnfd_id = None
        if given.vnfd_id is UNSET and given.vnf_pkg_id is not UNSET:
            vnfd_id = await self._catalogue.vnfd_id_of(caller(request).project, given.vnf_pkg_id)
            if vnfd_id is None:
                raise Rejected(400, f"VnfPackage {given.vnf_pkg_id} is not found.", pointer="/vnfPkgId")
        return await self._modify(request, modification(given, vnfd_id))

    async def operate(self, prepare: Prepare, request: web.Request) -> web.Response:
        instance = await self._instance(request)
        command = await prepare(AskedV1(request, caller(request).project, instance, self._catalogue, self._vault))
        return await self._start(request, instance["id"], command)

    async def list_op_occs(self, request: web.Request) -> web.Response:
        listed = await self._reads.page(VNF_LCM_OP_OCCS_V1, caller(request).project, request)
        return answer([listed.selector.apply(self._links.of_op_occ(doc)) for doc in listed.documents], link=listed.link)

    async def rollback(self, request: web.Request) -> web.Response:
        return self._located(request, await super().rollback(request))

    async def cancel(self, request: web.Request) -> web.Response:
        return self._located(request, await super().cancel(request))

    def _located(self, request: web.Request, accepted: web.Response) -> web.Response:
        """Version 1 names the occurrence in ``Location``, but not of a retry."""
        if accepted.status == 202:
            accepted.headers[hdrs.LOCATION] = self._links.op_occ(request.match_info["id"])
        return accepted


def _refusing(task: str, handler: Handler) -> Handler:
    async def refusing(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Rejected as error:
            raise refused_in_v1(task, error, await decode_optional(request, object)) from None

    return refusing

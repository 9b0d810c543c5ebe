"""The handlers of version 1: those of version 2 between other requests and other answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import hdrs, web
from forestay_events.errors import Rejected
from forestay_events.platform import Platform
from forestay_lcm.api.tasks import Prepare
from forestay_lcm.api.v1.asked import AskedV1
from forestay_lcm.api.v1.listings import PARAMETERS, VNF_INSTANCES_V1, VNF_LCM_OP_OCCS_V1, check_parameters
from forestay_lcm.api.v1.reads import ReadsV1
from forestay_lcm.api.v1.refusals import refused_in_v1
from forestay_lcm.api.v1.representation import LinksV1
from forestay_lcm.api.v1.requests import BODIES, VnfInfoModificationRequestV1, modification
from forestay_lcm.api.v1.resources import VnfInstanceV1, VnfLcmOpOccV1
from forestay_lcm.api.v1.shapes import patch_in_camel_case
from forestay_lcm.api.v2 import LcmV2
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.reads import Vnfs
from forestay_lcm.vnf_snapshots.reads import SnapshotReads
from forestay_sol.api import VNFLCM_V1, VNFLCM_V2, Handler, Route
from forestay_sol.body import convert, decode, decode_optional
from forestay_sol.caller import caller
from forestay_sol.versions import versions
from forestay_sol.vnflcm import VnfInstance, VnfLcmOpOcc
from forestay_sol.web import answer
from msgspec import UNSET

#: What version 1 has of version 2, below its prefix; the names are those of :mod:`forestay_lcm.api.v1.refusals`.
SERVED: Mapping[tuple[str, str], str] = {
    ("POST", "vnf_instances"): "create",
    ("GET", "vnf_instances"): "list",
    ("GET", "vnf_instances/{id}"): "show",
    ("PATCH", "vnf_instances/{id}"): "modify",
    ("DELETE", "vnf_instances/{id}"): "delete",
    ("POST", "vnf_instances/{id}/instantiate"): "instantiate",
    ("POST", "vnf_instances/{id}/terminate"): "terminate",
    ("POST", "vnf_instances/{id}/heal"): "heal",
    ("POST", "vnf_instances/{id}/scale"): "scale",
    ("POST", "vnf_instances/{id}/change_ext_conn"): "change_ext_conn",
    ("GET", "vnf_lcm_op_occs"): "list_op_occs",
    ("GET", "vnf_lcm_op_occs/{id}"): "show_op_occ",
    ("POST", "vnf_lcm_op_occs/{id}/retry"): "retry",
    ("POST", "vnf_lcm_op_occs/{id}/rollback"): "rollback",
    ("POST", "vnf_lcm_op_occs/{id}/fail"): "fail",
    ("POST", "vnf_lcm_op_occs/{id}/cancel"): "cancel",
}
_SHOWN: Mapping[Any, Any] = {
    VnfInstance: VnfInstanceV1,
    tuple[VnfInstance, ...]: tuple[VnfInstanceV1, ...],
    VnfLcmOpOcc: VnfLcmOpOccV1,
    tuple[VnfLcmOpOcc, ...]: tuple[VnfLcmOpOccV1, ...],
}


class LcmV1(LcmV2):
    """VNF instances and operation occurrences."""

    def __init__(self, platform: Platform, vnfs: Vnfs, catalogue: Catalogue, snapshots: SnapshotReads) -> None:
        super().__init__(platform, vnfs, ReadsV1(platform, vnfs, catalogue), catalogue, snapshots)
        self._links = LinksV1(platform.config.endpoint)

    def routes(self) -> list[Route]:
        below = [(route, route.path.removeprefix(f"{VNFLCM_V2.prefix}/")) for route in super().routes()]
        served = [
            _in_v1(route, path, SERVED[route.method, path])
            for route, path in below
            if (route.method, path) in SERVED
        ]  # fmt: skip
        return [*served, versions(VNFLCM_V1, "/vnflcm/v1", ["1.3.0"])]

    async def list_instances(self, request: web.Request) -> web.Response:
        check_parameters(request.query)
        listed = await self._reads.page(VNF_INSTANCES_V1, caller(request).project, request)
        return answer([self._links.of_instance(document) for document in listed.documents], link=listed.link)

    async def modify(self, request: web.Request) -> web.Response:
        given = convert(patch_in_camel_case(await decode(request, dict[str, Any])), VnfInfoModificationRequestV1)
        vnfd_id = None
        if given.vnfd_id is UNSET and given.vnf_pkg_id is not UNSET:
            vnfd_id = await self._catalogue.vnfd_id_of(caller(request).project, given.vnf_pkg_id)
            if vnfd_id is None:
                raise Rejected(400, f"VnfPackage {given.vnf_pkg_id} is not found.", pointer="/vnfPkgId")
        return await self._modify(request, modification(given, vnfd_id))

    async def operate(self, prepare: Prepare, request: web.Request) -> web.Response:
        instance = await self._instance(request)
        project = caller(request).project
        command = await prepare(AskedV1(request, project, instance, self._catalogue, self._vault, self._snapshots))
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


def _in_v1(route: Route, path: str, task: str) -> Route:
    """A route of version 2 as version 1 has it."""
    return msgspec.structs.replace(
        route,
        path=f"{VNFLCM_V1.prefix}/{path}",
        api=VNFLCM_V1,
        consumes=None,
        handler=_refusing(task, route.handler),
        takes=BODIES.get(route.takes, route.takes),
        gives=_SHOWN.get(route.gives, route.gives),
        query=PARAMETERS.get(task, route.query),
    )


def _refusing(task: str, handler: Handler) -> Handler:
    async def refusing(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Rejected as error:
            raise refused_in_v1(task, error, await decode_optional(request, object)) from None

    return refusing

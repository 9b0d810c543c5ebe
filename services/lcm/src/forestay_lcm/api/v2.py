"""VNF LCM API version 2 (``/vnflcm/v2``; SOL003 clause 5, wire sections 3 and 4): requests in, commands out."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import msgspec
from aiohttp import web
from forestay_events.aggregate import Loaded
from forestay_events.errors import Rejected
from forestay_events.platform import Platform
from forestay_lcm.api.connections import patched_connections
from forestay_lcm.api.links import Links
from forestay_lcm.api.plans import shown_plan
from forestay_lcm.api.tasks import TASKS, Asked, Prepare
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain.commands import Cancel, CreateVnf, DeleteVnf, Handle, Modify, VnfCommand
from forestay_lcm.domain.grants.operations import vnfd_after
from forestay_lcm.domain.state import Vnf
from forestay_lcm.projections.instances import OP_OCC_COLUMNS, VNF_COLUMNS
from forestay_lcm.reads import Json, Reads, Vnfs
from forestay_lcm.vnf_snapshots.reads import SnapshotReads
from forestay_sol.api import MERGE_PATCH, VNFLCM_V2, VNFLCM_VERSIONS, Handler, Route
from forestay_sol.body import decode
from forestay_sol.caller import caller
from forestay_sol.listing import Listing
from forestay_sol.parameters import DRY_RUN, LIST
from forestay_sol.selectors import Attributes
from forestay_sol.versions import versions
from forestay_sol.vnflcm import (
    TASK_REQUESTS,
    CancelMode,
    CreateVnfRequest,
    VnfInfoModificationRequest,
    VnfInstance,
    VnfLcmOpOcc,
)
from forestay_sol.web import answer
from msgspec import UNSET

VNF_INSTANCES = Listing(
    table="lcm.vnf",
    alive="NOT deleted",
    columns=VNF_COLUMNS,
    attributes=Attributes.of(
        VnfInstance,
        excluded=("vnfConfigurableProperties", "vimConnectionInfo", "instantiatedVnfInfo", "metadata", "extensions"),
    ),
)
VNF_LCM_OP_OCCS = Listing(
    table="lcm.op_occ",
    columns=OP_OCC_COLUMNS,
    attributes=Attributes.of(
        VnfLcmOpOcc,
        excluded=("operationParams", "error", "resourceChanges", "changedInfo", "changedExtConnectivity"),
    ),
)


V2_VERSIONS = sorted(VNFLCM_V2.accepted)
#: The bodies of the tasks, for the OpenAPI document.
REQUESTS = {operation.lower(): request for operation, request in TASK_REQUESTS.items()}


class LcmV2:
    """The handlers of API version 2."""

    def __init__(
        self, platform: Platform, vnfs: Vnfs, reads: Reads, catalogue: Catalogue, snapshots: SnapshotReads
    ) -> None:
        self._vault = platform.vault
        self._vnfs = vnfs
        self._reads = reads
        self._catalogue = catalogue
        self._snapshots = snapshots
        self._links = Links(platform.config.endpoint)

    def routes(self) -> list[Route]:
        instances, op_occs = "/vnflcm/v2/vnf_instances", "/vnflcm/v2/vnf_lcm_op_occs"
        instance, op_occ = f"{instances}/{{id}}", f"{op_occs}/{{id}}"
        create = Route(
            "POST", instances, self.create, VNFLCM_V2, summary="Create a VNF instance", takes=CreateVnfRequest,
            gives=VnfInstance, status=201,
        )  # fmt: skip
        modify = Route(
            "PATCH", instance, self.modify, VNFLCM_V2, consumes=MERGE_PATCH, summary="Modify a VNF instance",
            takes=VnfInfoModificationRequest, status=202, query=(DRY_RUN,), versioned=True,
        )  # fmt: skip
        cancel = Route(
            "POST", f"{op_occ}/cancel", self.cancel, VNFLCM_V2, summary="Cancel an operation", takes=CancelMode,
            status=202, query=(DRY_RUN,),
        )  # fmt: skip
        fail = Route(
            "POST", f"{op_occ}/fail", self.fail, VNFLCM_V2, summary="Fail an operation for good", gives=VnfLcmOpOcc,
            query=(DRY_RUN,),
        )  # fmt: skip
        return [
            create,
            _read(instances, self.list_instances, "List VNF instances", tuple[VnfInstance, ...], query=LIST),
            _read(instance, self.show_instance, "Show a VNF instance", VnfInstance, versioned=True),
            modify,
            Route(
                "DELETE", instance, self.delete, VNFLCM_V2, summary="Delete a VNF instance", status=204, versioned=True
            ),
            *(self._task(instance, name, prepare) for name, prepare in TASKS.items()),
            _read(op_occs, self.list_op_occs, "List operation occurrences", tuple[VnfLcmOpOcc, ...], query=LIST),
            _read(op_occ, self.show_op_occ, "Show an operation occurrence", VnfLcmOpOcc),
            *(
                Route("POST", f"{op_occ}/{how}", handler, VNFLCM_V2, summary=summary, status=202, query=(DRY_RUN,))
                for how, handler, summary in (
                    ("retry", self.retry, "Retry a failed operation"),
                    ("rollback", self.rollback, "Roll a failed operation back"),
                )
            ),
            fail,
            cancel,
            versions(VNFLCM_VERSIONS, "/vnflcm", ["1.3.0", *V2_VERSIONS]),
            versions(VNFLCM_VERSIONS, "/vnflcm/v2", V2_VERSIONS),
        ]

    def _task(self, instance: str, name: str, prepare: Prepare) -> Route:
        return Route(
            "POST", f"{instance}/{name}", partial(self.operate, prepare), VNFLCM_V2, takes=REQUESTS[name], status=202,
            summary=f"{name.replace('_', ' ').capitalize()} a VNF instance", query=(DRY_RUN,),
        )  # fmt: skip

    async def create(self, request: web.Request) -> web.Response:
        body = await decode(request, CreateVnfRequest)
        vnfd = await self._catalogue.usable_vnfd(caller(request).project, body.vnfd_id)
        vnf_id = caller(request).new_id("vnf")
        await self._execute(request, vnf_id, CreateVnf(body, vnfd))
        document = self._links.of_instance(await self._reads.vnf(caller(request).project, vnf_id))
        return answer(document, status=201, location=self._links.instance(vnf_id))

    async def list_instances(self, request: web.Request) -> web.Response:
        listed = await self._reads.page(VNF_INSTANCES, caller(request).project, request)
        return answer(
            [listed.selector.apply(self._links.of_instance(doc)) for doc in listed.documents], link=listed.link
        )

    async def show_instance(self, request: web.Request) -> web.Response:
        document, version = await self._reads.versioned_vnf(caller(request).project, request.match_info["id"])
        return answer(self._links.of_instance(document), version=version)

    async def delete(self, request: web.Request) -> web.Response:
        instance = await self._instance(request)
        await self._execute(request, instance["id"], DeleteVnf())
        return answer(status=204)

    async def modify(self, request: web.Request) -> web.Response:
        return await self._modify(request, await decode(request, VnfInfoModificationRequest))

    async def _modify(self, request: web.Request, body: VnfInfoModificationRequest) -> web.Response:
        instance, project = await self._instance(request), caller(request).project
        present = await self._catalogue.vnfd(project, instance["vnfdId"])
        vnfd = present if body.vnfd_id is UNSET else await self._catalogue.usable_vnfd(project, body.vnfd_id)
        if body.vim_connection_info is not UNSET:
            given = body.vim_connection_info
            connections = await patched_connections(self._catalogue, self._vault, project, instance["id"], given)
            body = msgspec.structs.replace(body, vim_connection_info=connections)
        return await self._start(request, instance["id"], Modify(body, vnfd, present))

    async def operate(self, prepare: Prepare, request: web.Request) -> web.Response:
        """A task of the instance."""
        instance = await self._instance(request)
        project = caller(request).project
        command = await prepare(Asked(request, project, instance, self._catalogue, self._vault, self._snapshots))
        return await self._start(request, instance["id"], command)

    async def list_op_occs(self, request: web.Request) -> web.Response:
        listed = await self._reads.page(VNF_LCM_OP_OCCS, caller(request).project, request)
        return answer([listed.selector.apply(self._links.of_op_occ(doc)) for doc in listed.documents], link=listed.link)

    async def show_op_occ(self, request: web.Request) -> web.Response:
        document = await self._reads.op_occ(caller(request).project, request.match_info["id"])
        return answer(self._links.of_op_occ(document))

    async def retry(self, request: web.Request) -> web.Response:
        return await self._handle(request, "retry")

    async def rollback(self, request: web.Request) -> web.Response:
        return await self._handle(request, "rollback")

    async def fail(self, request: web.Request) -> web.Response:
        handled = await self._handle(request, "fail")
        return handled if _is_dry_run(request) else await self.show_op_occ(request)

    async def cancel(self, request: web.Request) -> web.Response:
        body = await decode(request, CancelMode)
        return await self._steer(request, Cancel(request.match_info["id"], body.cancel_mode))

    async def _handle(self, request: web.Request, how: Literal["retry", "rollback", "fail"]) -> web.Response:
        return await self._steer(request, Handle(request.match_info["id"], how))

    async def _steer(self, request: web.Request, command: Cancel | Handle) -> web.Response:
        """Do something about an operation: 202, or what it would come to if only that is asked for."""
        vnf_id = await self._reads.vnf_of(caller(request).project, command.op_id)
        if _is_dry_run(request):
            return await self._plan(request, vnf_id, command)
        await self._execute(request, vnf_id, command)
        return answer(status=202)

    async def _plan(self, request: web.Request, vnf_id: str, command: VnfCommand) -> web.Response:
        """What the command would do; nothing is recorded. :raises Rejected: as the command itself."""
        decision, vnf = await self._vnfs.preview(vnf_id, command, caller(request).origin())
        assert vnf is not None, "a command was decided for it"  # noqa: S101
        assert vnf.operation is not None, "an operation is begun or handled"  # noqa: S101
        vnfd = await self._catalogue.vnfd(vnf.project, vnfd_after(vnf, vnf.operation))
        return answer(shown_plan(decision, vnf, vnf.operation, vnfd))

    async def _start(self, request: web.Request, vnf_id: str, command: VnfCommand) -> web.Response:
        """Begin an operation: 202 with its occurrence, or its plan if only that is asked for."""
        if _is_dry_run(request):
            return await self._plan(request, vnf_id, command)
        vnf = (await self._execute(request, vnf_id, command)).state
        assert vnf is not None, "a command was executed on it"  # noqa: S101
        assert vnf.operation is not None, "an operation was started"  # noqa: S101
        return answer(status=202, location=self._links.op_occ(vnf.operation.id))

    async def _instance(self, request: web.Request) -> Json:
        """The VNF instance of a request's path, without links. :raises Rejected: 404."""
        return await self._reads.vnf(caller(request).project, request.match_info["id"])

    async def _execute(self, request: web.Request, vnf_id: str, command: VnfCommand) -> Loaded[Vnf]:
        return await self._vnfs.execute(vnf_id, command, caller(request).origin())


def _read(path: str, handler: Handler, summary: str, gives: Any, **members: Any) -> Route:
    return Route("GET", path, handler, VNFLCM_V2, summary=summary, gives=gives, **members)


def _is_dry_run(request: web.Request) -> bool:
    """:raises Rejected: 400, ``dry_run`` has a value that is neither true nor false."""
    value = request.query.get("dry_run", "false")
    if value not in ("true", "false", ""):
        raise Rejected(400, "dry_run is true or false.")
    return value != "false"

"""A VNFD, a VIM connection and commands for tests that are not about packages or clouds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Literal

import msgspec
from forestay_lcm.domain.commands import (
    Cancel,
    ChangeExtConn,
    ChangeFlavour,
    ChangeVnfPkg,
    CreateVnf,
    Handle,
    Heal,
    Instantiate,
    Modify,
    Operate,
    ReportStep,
    RevertToSnapshot,
    Scale,
    ScaleToLevel,
    TakeSnapshot,
    Terminate,
)
from forestay_lcm.domain.decisions.requested import USER_DATA
from forestay_lcm.domain.plan import HOOKS, kind_of
from forestay_lcm.domain.script_metadata import WRITTEN
from forestay_lcm.domain.state import Operation, Vnf
from forestay_lcm.domain.vdu_params import COORDINATION
from forestay_lcm.domain.vnf_snapshot import Place, VnfSnapshot
from forestay_sol.vnfd import (
    BaseHot,
    Flavour,
    InstantiationLevel,
    LcmScript,
    ScalingAspect,
    SoftwareImage,
    Vdu,
    VduCp,
    Vnfd,
    VnfVirtualLink,
)
from forestay_sol.vnflcm import (
    ChangeCurrentVnfPkgRequest,
    ChangeExtVnfConnectivityRequest,
    ChangeVnfFlavourRequest,
    CreateVnfRequest,
    CreateVnfSnapshotRequest,
    HealVnfRequest,
    InstantiateVnfRequest,
    OperateVnfRequest,
    RevertToVnfSnapshotRequest,
    ScaleVnfRequest,
    ScaleVnfToLevelRequest,
    TerminateVnfRequest,
    VimConnectionInfo,
    VnfInfoModificationRequest,
)

PROJECT = "nfv"
OPENSTACK = "ETSINFV.OPENSTACK_KEYSTONE.V_3"
ASPECT = "VDU1_scale"


def flavour(flavour_id: str, *levels: str, **members: Any) -> Flavour:
    """A flavour with one VDU, which has one instance more at each scale level, an external CP and an internal network."""
    return Flavour(
        id=flavour_id,
        vdus={
            "VDU1": Vdu(
                id="VDU1", name="VDU1", max_instances=len(levels), cp_ids=("CP1",), requested_capability="m1.tiny"
            )
        },
        cps={"CP1": VduCp(id="CP1", vdu_id="VDU1")},
        virtual_links={"net": VnfVirtualLink(id="net")},
        scaling_aspects={
            ASPECT: ScalingAspect(id=ASPECT, name=ASPECT, max_scale_level=len(levels) - 1, deltas={"VDU1": (1,)})
        },
        instantiation_levels={
            name: InstantiationLevel(id=name, vdu_counts={"VDU1": at + 1}, scale_info={ASPECT: at})
            for at, name in enumerate(levels)
        },
        default_level_id=levels[0],
        base_hot=BaseHot(path=f"BaseHOT/{flavour_id}/top.yaml", template="heat_template_version: 2018-08-31\n"),
        **members,
    )


VNFD = Vnfd(
    vnfd_id="vnfd-1",
    provider="Forestay",
    product_name="Sample",
    software_version="1.0",
    vnfd_version="1.0",
    flavours={"simple": flavour("simple", "one", "two", "three"), "large": flavour("large", "one", "two")},
    configurable_properties={"autoscale": False},
    extensions={"region": "north"},
    metadata={"maturity": "test"},
)

COMING = msgspec.structs.replace(
    VNFD, vnfd_id="vnfd-2", software_version="2.0", extensions={"region": "north", "tier": "gold"}
)
"""Another version of it."""


def scripted(vnfd: Vnfd) -> Vnfd:
    """The same VNFD of a package with scripts around every operation and rollback, and with an image file."""
    hooks = [f"{hook}{kind}_{end}" for hook in HOOKS.values() for kind in ("", "_rollback") for end in ("start", "end")]
    scripts = {
        hook: LcmScript(path=f"Scripts/{hook}.py", type="tosca.artifacts.Implementation.Python") for hook in hooks
    }
    image = SoftwareImage(id="VDU1", name="image", version=vnfd.software_version, path="Files/image.img")
    flavours = {
        flavour_id: msgspec.structs.replace(
            known,
            lcm_scripts=scripts,
            vdus={id_: msgspec.structs.replace(vdu, software_image=image) for id_, vdu in known.vdus.items()},
        )
        for flavour_id, known in vnfd.flavours.items()
    }
    return msgspec.structs.replace(vnfd, flavours=flavours)


SCRIPTED, SCRIPTED_COMING = scripted(VNFD), scripted(COMING)

WITH_USER_DATA = dict(zip(USER_DATA, ("UserData/sample.py", "Sample"), strict=True))
"""``additionalParams`` that name a user data class."""

CONNECTIONS = {
    "vim1": VimConnectionInfo(
        vim_id="8a8ae2b5-8a4c-4ac5-9ad1-3b0d5d1fd5d9",
        vim_type=OPENSTACK,
        interface_info={"endpoint": "http://keystone.example:5000/v3"},
        access_info={"username": "nfv_user", "password": "sealed:1.token"},
    )
}

SNAPSHOT_ID = "b9d4b0f2-5c0e-4b57-a8f4-d9c7c3b3a6f1"

INFO: dict[str, Any] = {
    "flavourId": "simple",
    "vnfState": "STARTED",
    "vnfcResourceInfo": [
        {
            "id": "server-1",
            "vduId": "VDU1",
            "computeResource": {"vimConnectionId": "vim1", "resourceId": "server-1", "vimLevelResourceType": "OS::Nova::Server"},
        }
    ],
}  # fmt: skip
"""An ``instantiatedVnfInfo`` as ``read-back`` reports it."""


def observed(vnf: Vnf) -> dict[str, Any]:
    """The ``instantiatedVnfInfo`` that the latest operation leads to; while it is rolled back, the one before it."""
    operation = vnf.operation
    assert operation is not None
    before: dict[str, Any] = msgspec.to_builtins(vnf.instantiated_vnf_info) if vnf.instantiated_vnf_info else {}
    if operation.rollback:
        return before
    params = operation.params
    levels = msgspec.to_builtins(operation.scale_status) or before.get("scaleStatus", [])
    states = {item["vnfcResourceInfoId"]: (item["id"], item["vnfcState"]) for item in before.get("vnfcInfo", [])}
    servers = list(states)
    named = params.get("vnfcInstanceId")
    chosen = [id_ for id_, (vnfc, _) in states.items() if not named or vnfc in named]
    free = (name for n in count(1) if (name := f"server-{n}") not in servers)
    if operation.operation == "HEAL":
        servers = [next(free) if id_ in chosen else id_ for id_ in servers]
    number = 1 + sum(item["scaleLevel"] for item in levels)
    servers = [*servers, *(next(free) for _ in range(number - len(servers)))][:number]
    if operation.operation == "OPERATE":
        states |= {id_: (states[id_][0], params["changeStateTo"]) for id_ in chosen}
    return {
        "flavourId": params.get("newFlavourId") or params.get("flavourId") or before["flavourId"],
        "vnfState": "STARTED" if any(states.get(id_, ("", "STARTED"))[1] == "STARTED" for id_ in servers) else "STOPPED",
        "scaleStatus": levels,
        "vnfcResourceInfo": [
            {
                "id": id_, "vduId": "VDU1",
                "computeResource": {"vimConnectionId": "vim1", "resourceId": id_, "vimLevelResourceType": "OS::Nova::Server"},
            }
            for id_ in servers
        ],
        "vnfcInfo": [
            {"id": f"VDU1-{id_}", "vduId": "VDU1", "vnfcResourceInfoId": id_,
             "vnfcState": states.get(id_, ("", "STARTED"))[1]}
            for id_ in servers
        ],
    }  # fmt: skip


def create(vnfd: Vnfd = VNFD, **members: Any) -> CreateVnf:
    return CreateVnf(msgspec.convert({"vnfdId": vnfd.vnfd_id} | members, CreateVnfRequest), vnfd)


def instantiate(vim_type: str = OPENSTACK, vnfd: Vnfd = VNFD, **members: Any) -> Instantiate:
    request = msgspec.convert({"flavourId": "simple"} | members, InstantiateVnfRequest)
    connections = {key: msgspec.structs.replace(info, vim_type=vim_type) for key, info in CONNECTIONS.items()}
    return Instantiate(request, vnfd, connections)


def terminate(kind: str = "FORCEFUL", vnfd: Vnfd = VNFD, **members: Any) -> Terminate:
    return Terminate(msgspec.convert({"terminationType": kind} | members, TerminateVnfRequest), vnfd)


def modify(vnfd: Vnfd = VNFD, present: Vnfd = VNFD, **members: Any) -> Modify:
    return Modify(msgspec.convert(members, VnfInfoModificationRequest), vnfd, present)


def scale(kind: str = "SCALE_OUT", vnfd: Vnfd = VNFD, **members: Any) -> Scale:
    return Scale(msgspec.convert({"type": kind, "aspectId": ASPECT} | members, ScaleVnfRequest), vnfd)


def scale_to_level(level: str | dict[str, int], vnfd: Vnfd = VNFD) -> ScaleToLevel:
    """To an instantiation level, or to scale levels by aspect."""
    if isinstance(level, str):
        members: dict[str, Any] = {"instantiationLevelId": level}
    else:
        members = {"scaleInfo": [{"aspectId": aspect, "scaleLevel": at} for aspect, at in level.items()]}
    return ScaleToLevel(msgspec.convert(members, ScaleVnfToLevelRequest), vnfd)


def heal(vnfd: Vnfd = VNFD, **members: Any) -> Heal:
    return Heal(msgspec.convert(members, HealVnfRequest), vnfd)


def ext_link(cpd_id: str = "CP1", **members: Any) -> dict[str, Any]:
    """An external virtual link for a CP."""
    return {
        "id": "ext",
        "resourceId": "net-9",
        "extCps": [{"cpdId": cpd_id, "cpConfig": {"a": {"cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET"}]}}}],
    } | members


def change_ext_conn(
    *links: dict[str, Any], vnfd: Vnfd = VNFD, connections: Mapping[str, VimConnectionInfo] | None = None
) -> ChangeExtConn:
    request = msgspec.convert({"extVirtualLinks": links or [ext_link()]}, ChangeExtVnfConnectivityRequest)
    return ChangeExtConn(request, vnfd, dict(connections or {}))


def change_flavour(flavour_id: str = "large", vnfd: Vnfd = VNFD, **members: Any) -> ChangeFlavour:
    return ChangeFlavour(msgspec.convert({"newFlavourId": flavour_id} | members, ChangeVnfFlavourRequest), vnfd)


def change_vnfpkg(coming: Vnfd = COMING, vnfd: Vnfd = VNFD, **members: Any) -> ChangeVnfPkg:
    request = msgspec.convert({"vnfdId": coming.vnfd_id} | members, ChangeCurrentVnfPkgRequest)
    return ChangeVnfPkg(request, vnfd, coming)


def coordinated(coming: Vnfd = COMING, vnfd: Vnfd = VNFD, **params: Any) -> ChangeVnfPkg:
    """A change of the VNF package with a script after each new VNFC, and after each that comes back."""
    param = {"cp_name": "CP1", "username": "ubuntu", "password": "sealed:1.token"}
    scripts = dict.fromkeys(COORDINATION.values(), "Scripts/coordinate.py")
    chosen = [{"vdu_id": "VDU1", "new_vnfc_param": param, "old_vnfc_param": param}]
    return change_vnfpkg(coming, vnfd, additionalParams=scripts | {"vdu_params": chosen} | params)


def operate(state: str = "STOPPED", vnfd: Vnfd = VNFD, **members: Any) -> Operate:
    return Operate(msgspec.convert({"changeStateTo": state} | members, OperateVnfRequest), vnfd)


def place(vnf_id: str) -> Place:
    """Where the parts of a VNF snapshot are."""
    connection = CONNECTIONS["vim1"]
    return Place(vnf_id=vnf_id, driver="openstack", lane=connection.vim_id or "", key="vim1", connection=connection)


def snapshot_content(vnf_id: str, *servers: str, **members: Any) -> dict[str, Any]:
    """SOL003's VnfSnapshot of a VNF with these servers."""
    servers = servers or ("server-1",)
    vnfcs = [{"id": id_, "vduId": "VDU1", "computeResource": {"resourceId": id_}} for id_ in servers]
    infos = [
        {"id": f"VDU1-{id_}", "vduId": "VDU1", "vnfcResourceInfoId": id_, "vnfcState": "STARTED"} for id_ in servers
    ]
    info = {"flavourId": "simple", "vnfState": "STARTED", "vnfcResourceInfo": vnfcs, "vnfcInfo": infos}
    return {
        "id": SNAPSHOT_ID,
        "vnfInstanceId": vnf_id,
        "vnfdId": VNFD.vnfd_id,
        "vnfInstance": {
            "id": vnf_id,
            "vnfdId": VNFD.vnfd_id,
            "vnfProvider": VNFD.provider,
            "vnfProductName": VNFD.product_name,
            "vnfSoftwareVersion": VNFD.software_version,
            "vnfdVersion": VNFD.vnfd_version,
            "instantiationState": "INSTANTIATED",
            "instantiatedVnfInfo": info,
            "_links": {"self": {"href": f"http://vnfm.example/vnflcm/v2/vnf_instances/{vnf_id}"}},
        },
        "vnfcSnapshots": [
            {"id": id_, "vnfcInstanceId": f"VDU1-{id_}", "computeSnapshotResource": {"resourceId": f"image-{id_}"}}
            for id_ in servers
        ],
    } | members


def empty_snapshot(snapshot_id: str = SNAPSHOT_ID) -> VnfSnapshot:
    return VnfSnapshot(id=snapshot_id, project=PROJECT, status="EMPTY")


def filled_snapshot(vnf_id: str, *servers: str, snapshot_id: str = SNAPSHOT_ID, **members: Any) -> VnfSnapshot:
    """A snapshot of an instance with these VNFCs, else with one; ``members`` of its content."""
    content = snapshot_content(vnf_id, *servers, **members)
    return VnfSnapshot(id=snapshot_id, project=PROJECT, status="FILLED", content=content, place=place(vnf_id))


def snapshot_of(vnf: Vnf) -> VnfSnapshot:
    """One that was taken of the instance as it is."""
    info = vnf.instantiated_vnf_info
    instance = {"instantiatedVnfInfo": msgspec.to_builtins(info)}
    servers = [vnfc.id for vnfc in info.vnfc_resource_info] if info else []
    return filled_snapshot(vnf.id, *servers, vnfdId=vnf.vnfd_id, vnfInstance=instance)


def take_snapshot(snapshot: VnfSnapshot | None = None, vnfd: Vnfd = VNFD, **members: Any) -> TakeSnapshot:
    snapshot = snapshot or empty_snapshot()
    request = {"vnfSnapshotInfoId": snapshot.id} | members
    return TakeSnapshot(msgspec.convert(request, CreateVnfSnapshotRequest), vnfd, snapshot)


def revert_to(snapshot: VnfSnapshot, vnfd: Vnfd = VNFD, ended: str | None = None, **members: Any) -> RevertToSnapshot:
    request = {"vnfSnapshotInfoId": snapshot.id} | members
    return RevertToSnapshot(msgspec.convert(request, RevertToVnfSnapshotRequest), vnfd, snapshot, ended)


def cancel(mode: Literal["GRACEFUL", "FORCEFUL"] = "FORCEFUL") -> Callable[[Vnf | None], Cancel]:
    return lambda vnf: Cancel(latest(vnf).id, mode)


def handle(how: Literal["retry", "rollback", "fail"]) -> Callable[[Vnf | None], Handle]:
    return lambda vnf: Handle(latest(vnf).id, how)


def latest(vnf: Vnf | None) -> Operation:
    assert vnf is not None
    assert vnf.operation is not None
    return vnf.operation


def confirmed(vnf: Vnf | None, **result: Any) -> ReportStep:
    """The report that the present step is done, with what such a step gives."""
    step, attempt, op_id = present(vnf)
    kind = kind_of(step)
    if kind == "read-back" and not result:
        assert vnf is not None
        result = {"instantiated_vnf_info": observed(vnf)}
    return ReportStep(op_id, step, attempt, "CONFIRMED", result=result or _RESULTS.get(kind, {}))


_RESULTS: dict[str, dict[str, Any]] = {
    "grant": {"grant_request": {}, "grant": {"id": "grant-1"}},
    "create-stack": {"stack_id": "stack-1", "stack_name": "vnf-1"},
    "script": {WRITTEN: {"vnf": {"registered": "yes"}}},
    "upload-images": {"images": {"VDU1": "image-1"}},
    "add-images": {"images": {"VDU1": "image-2"}},
    "delete-images": {"deleted": ["image-1"]},
    "drop-images": {"deleted": ["image-1"], "kept": ["image-2"]},
    "user-data": {"parameters": {"nfv": {}}},
    "await-vnfc": {"cp_addresses": {"CP1": "10.10.0.7"}},
}


def noted(vnf: Vnf | None, **result: Any) -> ReportStep:
    """The report of something that has to be kept before the present step is done."""
    step, attempt, op_id = present(vnf)
    seen = run.result if (run := latest(vnf).current) else {}
    kept = seen | (result or {"noted": len(seen)})
    return ReportStep(op_id, step, attempt, "NOTED", result=kept, seen=seen)


def failed(vnf: Vnf | None, detail: str = "No valid host was found.") -> ReportStep:
    step, attempt, op_id = present(vnf)
    return ReportStep(op_id, step, attempt, "FAILED", error={"title": "Step failed", "status": 422, "detail": detail})


def unknown(vnf: Vnf | None) -> ReportStep:
    step, attempt, op_id = present(vnf)
    return ReportStep(op_id, step, attempt, "UNKNOWN", error={"detail": "no answer"})


def present(vnf: Vnf | None) -> tuple[str, int, str]:
    """Name and attempt of the present step, and its operation's id."""
    operation = latest(vnf)
    run = operation.current
    assert run is not None, f"{operation.state} has no present step"
    return run.step.name, run.attempt, operation.id

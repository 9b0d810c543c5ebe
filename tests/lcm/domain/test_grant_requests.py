"""What each operation asks a grant for: on a VNF of hand-made resources, table by table of the wire contract (6.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec
import pytest
from forestay_events.errors import Rejected
from forestay_lcm.domain import local_nfvo
from forestay_lcm.domain.grants import (
    Asking,
    change_ext_conn_grant_request,
    change_flavour_grant_request,
    change_vnfpkg_grant_request,
    create_snapshot_grant_request,
    heal_grant_request,
    instantiate_grant_request,
    operate_grant_request,
    revert_to_snapshot_grant_request,
    scale_grant_request,
    scale_to_level_grant_request,
    terminate_grant_request,
)
from forestay_sol.vnfd import (
    AffinityRule,
    Flavour,
    InstantiationLevel,
    ScalingAspect,
    Vdu,
    VduCp,
    VirtualStorage,
    VnfVirtualLink,
)
from forestay_sol.vnflcm import (
    ChangeExtVnfConnectivityRequest,
    ChangeVnfFlavourRequest,
    CreateVnfSnapshotRequest,
    GrantRequest,
    HealVnfRequest,
    InstantiatedVnfInfo,
    InstantiateVnfRequest,
    OperateVnfRequest,
    PlacementConstraint,
    ResourceDefinition,
    RevertToVnfSnapshotRequest,
    ScaleVnfRequest,
    ScaleVnfToLevelRequest,
)

FLAVOUR = Flavour(
    id="simple",
    vdus={
        "Web": Vdu(id="Web", name="web", cp_ids=("Web_ext", "Web_int"), storage_ids=("Disk",), max_instances=5),
        "Db": Vdu(id="Db", name="db", cp_ids=("Db_int",)),
    },
    cps={
        "Web_ext": VduCp(id="Web_ext", vdu_id="Web"),
        "Web_int": VduCp(id="Web_int", vdu_id="Web", virtual_link_id="Net"),
        "Db_int": VduCp(id="Db_int", vdu_id="Db", virtual_link_id="Net"),
    },
    storages={"Disk": VirtualStorage(id="Disk", kind="VirtualBlockStorage")},
    virtual_links={"Net": VnfVirtualLink(id="Net")},
    scaling_aspects={
        "web": ScalingAspect(id="web", name="web", max_scale_level=3, deltas={"Web": (1,)}),
        "all": ScalingAspect(id="all", name="all", max_scale_level=2, deltas={"Web": (1, 2), "Db": (1, 1)}),
    },
    instantiation_levels={
        "small": InstantiationLevel(id="small", vdu_counts={"Web": 1, "Db": 1}),
        "large": InstantiationLevel(id="large", vdu_counts={"Web": 4, "Db": 1}),
    },
    default_level_id="small",
    affinity_rules=(
        AffinityRule(id="nobody", kind="AFFINITY", scope="zone", targets=("Gone",)),
        AffinityRule(id="apart", kind="ANTI_AFFINITY", scope="nfvi_node", targets=("Web",)),
        AffinityRule(id="near", kind="AFFINITY", scope="zone", targets=("Web", "Db")),
        AffinityRule(id="odd", kind="AFFINITY", scope="rack", targets=("Web", "Db")),
    ),
)


def _handle(resource_id: str) -> dict[str, Any]:
    return {"resourceId": resource_id, "vimConnectionId": "vim1"}


def _web(number: int) -> dict[str, Any]:
    server = f"web-{number}"
    return {
        "id": server,
        "vduId": "Web",
        "computeResource": _handle(server),
        "storageResourceIds": [f"disk-{number}"],
        "vnfcCpInfo": [
            {"id": f"Web_ext-{server}", "cpdId": "Web_ext", "vnfExtCpId": f"cp-{number}"},
            {"id": f"Web_int-{server}", "cpdId": "Web_int", "vnfLinkPortId": f"int-{number}"},
        ],
    }


def info(webs: int = 2, *, given_port: bool = False, **scale: int) -> InstantiatedVnfInfo:
    """A VNF of some Web VNFCs, the newest first, and one Db; scale levels by aspect."""
    numbers = range(webs, 0, -1)
    config = {"cfg": {"linkPortId": "port-1"} if given_port else {"createExtLinkPort": True}}
    return msgspec.convert(
        {
            "flavourId": "simple",
            "vnfState": "STARTED",
            "scaleStatus": [{"aspectId": aspect, "scaleLevel": level} for aspect, level in scale.items()],
            "vnfcResourceInfo": [
                *map(_web, numbers),
                {
                    "id": "db-1",
                    "vduId": "Db",
                    "computeResource": _handle("db-1"),
                    "vnfcCpInfo": [{"id": "Db_int-db-1", "cpdId": "Db_int", "vnfLinkPortId": "int-db"}],
                },
            ],
            "vnfcInfo": [
                *({"id": f"c{n}", "vduId": "Web", "vnfcResourceInfoId": f"web-{n}", "vnfcState": "STARTED"} for n in numbers),
                {"id": "cdb", "vduId": "Db", "vnfcResourceInfoId": "db-1", "vnfcState": "STARTED"},
            ],
            "virtualStorageResourceInfo": [
                {"id": f"disk-{n}", "virtualStorageDescId": "Disk", "storageResource": _handle(f"disk-{n}")} for n in numbers
            ],
            "vnfVirtualLinkResourceInfo": [
                {
                    "id": "net-1",
                    "vnfVirtualLinkDescId": "Net",
                    "networkResource": _handle("net-1"),
                    "vnfLinkPorts": [
                        {"id": key, "resourceHandle": _handle(key)} for key in ("int-db", *(f"int-{n}" for n in numbers))
                    ],
                }
            ],
            "extVirtualLinkInfo": [
                {
                    "id": "ext",
                    "resourceHandle": _handle("ext-net"),
                    "currentVnfExtCpData": [{"cpdId": "Web_ext", "cpConfig": config}],
                    "extLinkPorts": [
                        {"id": f"port-{n}", "resourceHandle": _handle(f"port-{n}"), "cpInstanceId": f"cp-{n}"} for n in numbers
                    ],
                }
            ],
        },
        InstantiatedVnfInfo,
    )  # fmt: skip


def asking(**members: Any) -> Asking:
    numbers = count(1)
    return Asking(vnf_id="vnf", op_id="op", vnfd_id="vnfd", new_id=lambda: f"r{next(numbers)}", **members)


def ids(definitions: tuple[ResourceDefinition, ...]) -> list[str]:
    """``template`` of what is to be made, ``template=resource`` of what exists."""
    return [
        f"{item.resource_template_id}={item.resource.resource_id}" if item.resource else item.resource_template_id
        for item in definitions
    ]


def members(constraint: PlacementConstraint) -> list[str]:
    return [item.resource_id for item in constraint.resource]


def scale(how: str, aspect: str, info: InstantiatedVnfInfo, steps: int | None = None) -> GrantRequest:
    wanted = {"type": how, "aspectId": aspect} | ({"numberOfSteps": steps} if steps else {})
    request = msgspec.convert(wanted, ScaleVnfRequest)
    return scale_grant_request(asking(), flavour=FLAVOUR, info=info, request=request)


def heal(info: InstantiatedVnfInfo, *vnfcs: str, everything: bool | None = None) -> GrantRequest:
    params: dict[str, Any] | None = None if everything is None else {"all": everything}
    request = HealVnfRequest(vnfc_instance_id=vnfcs, additional_params=params)
    return heal_grant_request(asking(), flavour=FLAVOUR, info=info, request=request)


def test_every_affinity_rule_becomes_a_constraint() -> None:
    request = InstantiateVnfRequest(flavour_id="simple", instantiation_level_id="large")
    asked = instantiate_grant_request(asking(best_effort=True), flavour=FLAVOUR, request=request)
    apart, near = asked.placement_constraints
    assert (apart.affinity_or_anti_affinity, apart.scope, members(apart)) == (
        "ANTI_AFFINITY", "NFVI_NODE", ["r1", "r2", "r3", "r4"],
    )  # fmt: skip
    assert (near.affinity_or_anti_affinity, near.scope, members(near)) == (
        "AFFINITY", "ZONE", ["r1", "r2", "r3", "r4", "r5"],
    )  # fmt: skip
    assert near.fallback_best_effort
    assert {item.id_type for item in near.resource} == {"GRANT"}


def test_a_rule_about_one_resource_is_no_constraint() -> None:
    request = InstantiateVnfRequest(flavour_id="simple")
    asked = instantiate_grant_request(asking(), flavour=FLAVOUR, request=request)
    assert [item.scope for item in asked.placement_constraints] == ["ZONE"]


def test_only_a_compute_names_its_vdu() -> None:
    request = InstantiateVnfRequest(flavour_id="simple")
    asked = instantiate_grant_request(asking(), flavour=FLAVOUR, request=request)
    assert {item.type for item in asked.add_resources if item.vdu_id} == {"COMPUTE"}
    assert {item.type for item in asked.add_resources if not item.vdu_id} == {"LINKPORT", "STORAGE", "VL"}


def test_scale_out_adds_vnfcs_beside_those_that_are_there() -> None:
    asked = scale("SCALE_OUT", "web", info(2, web=0), steps=2)
    assert ids(asked.add_resources) == ["Web", "Web_ext", "Web_int", "Disk"] * 2
    assert (asked.remove_resources, asked.flavour_id, asked.instantiation_level_id) == ((), "simple", None)
    apart, near = asked.placement_constraints
    assert members(apart) == ["web-1", "web-2", "r1", "r2"]
    assert [item.id_type for item in apart.resource] == ["RES_MGMT", "RES_MGMT", "GRANT", "GRANT"]
    assert {item.vim_connection_id for item in apart.resource} == {"vim1", None}
    assert members(near) == ["db-1", "web-1", "web-2", "r1", "r2"]


def test_scale_in_removes_the_newest_first_and_constrains_nothing() -> None:
    asked = scale("SCALE_IN", "web", info(3, web=2), steps=2)
    assert ids(asked.remove_resources) == [
        "Web=web-3", "Web_ext=port-3", "Web_int=int-3", "Disk=disk-3",
        "Web=web-2", "Web_ext=port-2", "Web_int=int-2", "Disk=disk-2",
    ]  # fmt: skip
    assert (asked.add_resources, asked.placement_constraints, asked.flavour_id) == ((), (), "simple")


def test_scale_uses_the_deltas_of_each_step_and_vdu() -> None:
    assert Counter(ids(scale("SCALE_OUT", "all", info(2, all=1)).add_resources)) == Counter(
        {"Web": 2, "Web_ext": 2, "Web_int": 2, "Disk": 2, "Db": 1, "Db_int": 1}
    )


def test_a_given_port_is_neither_added_nor_removed() -> None:
    assert "Web_ext" not in ids(scale("SCALE_OUT", "web", info(1, given_port=True, web=0)).add_resources)
    removed = terminate_grant_request(asking(), info=info(1, given_port=True)).remove_resources
    assert ids(removed) == ["Web=web-1", "Web_int=int-1", "Disk=disk-1", "Db=db-1", "Db_int=int-db", "Net=net-1"]


@pytest.mark.parametrize(("aspect", "steps"), [("web", 4), ("none", 1)])
def test_scale_refuses_what_the_vnfd_does_not_have(aspect: str, steps: int) -> None:
    with pytest.raises(Rejected, match=r"Invalid (aspectId|numberOfSteps)"):
        scale("SCALE_OUT", aspect, info(1, web=0), steps=steps)


@pytest.mark.parametrize(
    ("wanted", "added", "removed"),
    [
        ({"instantiationLevelId": "large"}, 2, 0),
        ({"instantiationLevelId": "small"}, 0, 1),
        ({"scaleInfo": [{"aspectId": "web", "scaleLevel": 3}]}, 2, 0),
        ({"scaleInfo": [{"aspectId": "web", "scaleLevel": 0}]}, 0, 1),
        ({"scaleInfo": [{"aspectId": "web", "scaleLevel": 1}]}, 0, 0),
    ],
)
def test_scale_to_level_asks_for_the_difference(wanted: dict[str, Any], added: int, removed: int) -> None:
    request = msgspec.convert(wanted, ScaleVnfToLevelRequest)
    asked = scale_to_level_grant_request(asking(), flavour=FLAVOUR, info=info(2, web=1), request=request)
    assert ids(asked.add_resources).count("Web") == added
    assert [item for item in ids(asked.remove_resources) if item.startswith("Web=")] == ["Web=web-2"][:removed]


def test_scale_to_level_refuses_a_level_over_the_highest() -> None:
    request = msgspec.convert({"scaleInfo": [{"aspectId": "web", "scaleLevel": 4}]}, ScaleVnfToLevelRequest)
    with pytest.raises(Rejected, match="scaleLevel '4'") as refused:
        scale_to_level_grant_request(asking(), flavour=FLAVOUR, info=info(2, web=1), request=request)
    assert refused.value.pointer == "/scaleInfo/0/scaleLevel"


@pytest.mark.parametrize(
    ("vnfcs", "everything", "removed"),
    [
        (("c2",), None, ["Web=web-2"]),
        (("c2",), True, ["Web=web-2", "Disk=disk-2"]),
        ((), False, ["Web=web-2", "Web=web-1", "Db=db-1"]),
        ((), True, [
            "Web=web-2", "Web_ext=port-2", "Web_int=int-2", "Disk=disk-2",
            "Web=web-1", "Web_ext=port-1", "Web_int=int-1", "Disk=disk-1",
            "Db=db-1", "Db_int=int-db", "Net=net-1",
        ]),
    ],
)  # fmt: skip
def test_heal_replaces_what_it_heals(vnfcs: tuple[str, ...], everything: bool | None, removed: list[str]) -> None:
    asked = heal(info(2), *vnfcs, everything=everything)
    assert ids(asked.remove_resources) == removed
    assert ids(asked.add_resources) == [item.partition("=")[0] for item in removed]
    assert not {item.id for item in asked.add_resources} & {item.id for item in asked.remove_resources}
    assert asked.flavour_id == "simple"


def test_heal_keeps_the_new_server_apart_from_those_that_stay() -> None:
    asked = heal(info(3), "c2")
    (new,) = (item.id for item in asked.add_resources)
    apart, near = asked.placement_constraints
    assert members(apart) == ["web-1", "web-3", new]
    assert members(near) == ["db-1", "web-1", "web-3", new]


def test_an_unknown_vnfc_is_refused() -> None:
    with pytest.raises(Rejected, match="vnfcInstanceId 'web-1': the VNF instance has c2, c1, cdb"):
        heal(info(2), "web-1")


@pytest.mark.parametrize(("link_port", "added"), [(None, ["Web_ext", "Web_ext"]), ("mine", [])])
def test_change_ext_conn_replaces_our_ports(link_port: str | None, added: list[str]) -> None:
    config = {"linkPortId": link_port} if link_port else {"createExtLinkPort": True}
    link = {"id": "x", "resourceId": "n", "extCps": [{"cpdId": "Web_ext", "cpConfig": {"cfg": config}}]}
    request = msgspec.convert({"extVirtualLinks": [link]}, ChangeExtVnfConnectivityRequest)
    asked = change_ext_conn_grant_request(asking(), flavour=FLAVOUR, info=info(2), request=request)
    assert ids(asked.add_resources) == added
    assert ids(asked.remove_resources) == ["Web_ext=port-2", "Web_ext=port-1"]
    assert ids(asked.update_resources) == ["Web=web-2", "Web=web-1"]
    every = [item.id for item in (*asked.add_resources, *asked.remove_resources, *asked.update_resources)]
    assert len(set(every)) == len(every)


def test_change_vnfpkg_replaces_servers_and_storages_by_those_of_the_new_vnfd() -> None:
    bigger = msgspec.structs.replace(FLAVOUR.vdus["Web"], storage_ids=("Disk", "Log"))
    flavour = msgspec.structs.replace(FLAVOUR, vdus=FLAVOUR.vdus | {"Web": bigger})
    asked = change_vnfpkg_grant_request(
        asking(), info=info(2), dst_vnfd_id="vnfd2", flavour=flavour, vdu_ids=["Db", "Web"]
    )
    assert ids(asked.remove_resources) == ["Db=db-1", "Web=web-2", "Disk=disk-2", "Web=web-1", "Disk=disk-1"]
    assert ids(asked.add_resources) == ["Db", "Web", "Disk", "Log", "Web", "Disk", "Log"]
    assert (asked.vnfd_id, asked.dst_vnfd_id, asked.additional_params) == ("vnfd", "vnfd2", None)
    assert {item.vnfd_id for item in asked.add_resources} == {"vnfd2"}
    assert {item.vnfd_id for item in asked.remove_resources} == {"vnfd"}


def _change_flavour(new: Flavour, **members: Any) -> GrantRequest:
    request = msgspec.convert({"newFlavourId": new.id} | members, ChangeVnfFlavourRequest)
    return change_flavour_grant_request(asking(), old=FLAVOUR, new=new, info=info(2), request=request)


def test_change_flavour_asks_for_the_difference_of_the_flavours() -> None:
    web = msgspec.structs.replace(FLAVOUR.vdus["Web"], requested_capability="m1.large", description="bigger")
    new = msgspec.structs.replace(
        FLAVOUR,
        id="other",
        vdus={"Web": web, "Cache": Vdu(id="Cache", name="cache")},
        virtual_links={"Fast": VnfVirtualLink(id="Fast")},
        instantiation_levels={"only": InstantiationLevel(id="only", vdu_counts={"Web": 1, "Cache": 2})},
        default_level_id="only",
        affinity_rules=(AffinityRule(id="near", kind="AFFINITY", scope="nfvi_pop", targets=("Web", "Cache")),),
    )
    asked = _change_flavour(new)
    assert ids(asked.add_resources) == ["Cache", "Cache", "Fast"]
    assert ids(asked.remove_resources) == [
        "Web=web-2", "Web_ext=port-2", "Web_int=int-2", "Disk=disk-2", "Db=db-1", "Db_int=int-db", "Net=net-1",
    ]  # fmt: skip
    assert ids(asked.update_resources) == ["Web=web-1"]
    assert (asked.flavour_id, asked.instantiation_level_id) == ("other", None)
    (near,) = asked.placement_constraints
    assert (near.scope, near.resource[0].resource_id, len(near.resource)) == ("NFVI_POP", "web-1", 3)
    managed = {"id": "m", "vnfVirtualLinkDescId": "Fast", "resourceId": "net"}
    assert "Fast" not in ids(_change_flavour(new, extManagedVirtualLinks=[managed]).add_resources)


@pytest.mark.parametrize(("vnfcs", "updated"), [((), ["Web=web-1", "Db=db-1"]), (("cdb",), ["Db=db-1"])])
def test_operate_changes_the_servers(vnfcs: tuple[str, ...], updated: list[str]) -> None:
    request = OperateVnfRequest(change_state_to="STOPPED", vnfc_instance_id=vnfcs)
    asked = operate_grant_request(asking(), info=info(1), request=request)
    assert ids(asked.update_resources) == updated
    assert (asked.add_resources, asked.remove_resources) == ((), ())


def test_a_snapshot_changes_every_vnfc_and_storage_and_says_which_part() -> None:
    taken, reverted = REQUESTS["create_snapshot"](), REQUESTS["revert_to_snapshot"]()
    for asked, parts in (
        (taken, [(None, None)] * 5),
        (reverted, [("web-0", None), ("web-0", "disk-2"), ("web-1", None), ("web-1", "disk-1"), ("db-1", None)]),
    ):
        assert (asked.add_resources, asked.remove_resources) == ((), ())
        definitions = [item.snapshot_res_def for item in asked.update_resources if item.snapshot_res_def]
        assert {item.vnf_snapshot_id for item in definitions} == {"snap-1"}
        assert [(item.vnfc_snapshot_id, item.storage_snapshot_id) for item in definitions] == parts


REQUESTS: dict[str, Callable[[], GrantRequest]] = {
    "scale out": lambda: scale("SCALE_OUT", "all", info(2, all=0), steps=2),
    "scale in": lambda: scale("SCALE_IN", "web", info(3, web=2)),
    "heal": lambda: heal(info(2), everything=True),
    "create_snapshot": lambda: create_snapshot_grant_request(
        asking(), info=info(), request=CreateVnfSnapshotRequest(vnf_snapshot_info_id="snap-1")
    ),
    "revert_to_snapshot": lambda: revert_to_snapshot_grant_request(
        asking(),
        info=info(),
        request=RevertToVnfSnapshotRequest(vnf_snapshot_info_id="snap-1"),
        parts={"web-2": "web-0"},
    ),
    "operate": lambda: operate_grant_request(
        asking(), info=info(2), request=OperateVnfRequest(change_state_to="STOPPED")
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_input_gives_the_same_request_with_distinct_ids(name: str) -> None:
    asked = REQUESTS[name]()
    assert asked == REQUESTS[name]()
    every = [item.id for item in (*asked.add_resources, *asked.remove_resources, *asked.update_resources)]
    assert len(set(every)) == len(every) > 0


def test_the_embedded_nfvo_answers_each_and_counts_zones_on_from_those_in_use() -> None:
    apart = AffinityRule(id="apart", kind="ANTI_AFFINITY", scope="zone", targets=("Web",))
    flavour = msgspec.structs.replace(FLAVOUR, affinity_rules=(apart,))
    request = ScaleVnfRequest(type="SCALE_OUT", aspect_id="web", number_of_steps=2)
    asked = scale_grant_request(asking(), flavour=flavour, info=info(1, web=0), request=request)
    numbers = count(1)
    grant = local_nfvo.answer(asked, new_id=lambda: f"g{next(numbers)}", flavour=flavour, zones=["a", "b", "c"])
    zones = {zone.id: zone.zone_id for zone in grant.zones}
    assert [zones[item.zone_id] for item in grant.add_resources if item.zone_id] == ["b", "c"]
    stopped = operate_grant_request(asking(), info=info(1), request=OperateVnfRequest(change_state_to="STOPPED"))
    answered = local_nfvo.answer(stopped, new_id=lambda: "g")
    assert [item.resource_definition_id for item in answered.update_resources] == ["r1", "r2"]

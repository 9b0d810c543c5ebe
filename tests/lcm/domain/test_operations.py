"""The operations of an instantiated VNF: what each leads to, and what each refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from forestay_lcm.domain.commands import VnfCommand
from forestay_lcm.domain.events import OperationCompleted, OperationStarted
from forestay_sol.vnflcm import ExtVirtualLinkInfo, InstantiatedVnfInfo, ResourceHandle, VnfExtCpConfig, VnfExtCpData

from tests.lcm.domain.story import VNF_ID, Story, refusal, told
from tests.lcm.samples import (
    ASPECT,
    COMING,
    CONNECTIONS,
    SCRIPTED_COMING,
    VNFD,
    change_ext_conn,
    change_flavour,
    change_vnfpkg,
    confirmed,
    create,
    ext_link,
    failed,
    filled_snapshot,
    handle,
    heal,
    instantiate,
    operate,
    revert_to,
    scale,
    scale_to_level,
    take_snapshot,
    terminate,
)

INSTANTIATED = (create(), instantiate(), *[confirmed] * 4)
UPDATE = ["update-stack", "await-update", "read-back"]

OPERATIONS: dict[str, VnfCommand] = {
    "TERMINATE": terminate("GRACEFUL"),
    "SCALE": scale(),
    "SCALE_TO_LEVEL": scale_to_level("two"),
    "HEAL": heal(),
    "CHANGE_EXT_CONN": change_ext_conn(),
    "CHANGE_FLAVOUR": change_flavour(),
    "CHANGE_VNFPKG": change_vnfpkg(),
    "OPERATE": operate("STOPPED", stopType="GRACEFUL", gracefulStopTimeout=5),
    "CREATE_SNAPSHOT": take_snapshot(userDefinedData={"why": "before the upgrade"}),
    "REVERT_TO_SNAPSHOT": revert_to(filled_snapshot(VNF_ID)),
}
"""A legal command for each operation of an instance that is instantiated with one VNFC."""


def started(story: Story, command: VnfCommand) -> OperationStarted:
    event = story.do(command)[0]
    assert isinstance(event, OperationStarted)
    return event


def ended(story: Story) -> OperationCompleted:
    """Confirm all that is left; the last event."""
    while story.operation.current is not None:
        last = story.do(confirmed)[-1]
    assert isinstance(last, OperationCompleted)  # pyright: ignore[reportPossiblyUnboundVariable]
    return last


def levels(story: Story) -> dict[str, int]:
    info = story.vnf.instantiated_vnf_info
    assert info is not None
    return {item.aspect_id: item.scale_level for item in info.scale_status}


def vnfcs(story: Story) -> list[str]:
    info = story.vnf.instantiated_vnf_info
    assert info is not None
    return [vnfc.id for vnfc in info.vnfc_resource_info]


@pytest.mark.parametrize("operation", OPERATIONS)
class TestEvery:
    def test_needs_an_instantiated_vnf(self, operation: str) -> None:
        error = refusal(told(create()), OPERATIONS[operation])
        assert (error.status, error.detail) == (409, f"VnfInstance {VNF_ID} is not instantiated.")

    @pytest.mark.parametrize("busy_with", OPERATIONS)
    def test_is_refused_while_another_is_open(self, operation: str, busy_with: str) -> None:
        story = told(*INSTANTIATED, OPERATIONS[busy_with])
        for state in ("STARTING", "PROCESSING", "FAILED_TEMP"):
            error = refusal(story, OPERATIONS[operation])
            assert error.status == 409
            assert error.extra["lcmOpOcc"] == {
                "id": story.operation.id, "operation": busy_with, "operationState": state,
            }  # fmt: skip
            if state != "FAILED_TEMP":
                story.do(confirmed if state == "STARTING" else failed)

    def test_of_another_project_does_not_exist(self, operation: str) -> None:
        assert refusal(told(*INSTANTIATED), OPERATIONS[operation], project="other").status == 404

    def test_records_the_request_and_goes_to_the_vim_of_the_instance(self, operation: str) -> None:
        event = started(told(*INSTANTIATED), OPERATIONS[operation])
        assert event.operation == operation
        assert event.lane == CONNECTIONS["vim1"].vim_id
        assert event.vim_connections == {}, "it lives where it lived"
        request: Any = OPERATIONS[operation].request  # type: ignore[union-attr]
        assert msgspec.to_builtins(request).items() <= event.params.items()

    def test_another_may_follow(self, operation: str) -> None:
        story = told(*INSTANTIATED, OPERATIONS[operation])
        ended(story)
        vnfd = COMING if operation == "CHANGE_VNFPKG" else VNFD
        assert started(story, instantiate() if operation == "TERMINATE" else terminate(vnfd=vnfd))

    def test_given_up_leaves_the_instance_as_it_was(self, operation: str) -> None:
        story = told(*INSTANTIATED)
        before = story.vnf
        for command in (OPERATIONS[operation], confirmed, failed, handle("fail")):
            story.do(command)
        assert story.operation.state == "FAILED"
        assert msgspec.structs.replace(story.vnf, operation=None) == msgspec.structs.replace(before, operation=None)


class TestScale:
    def test_out_and_in(self) -> None:
        story = told(*INSTANTIATED)
        event = started(story, scale(numberOfSteps=2))
        assert [step.name for step in event.steps] == ["grant", *UPDATE]
        assert [(item.aspect_id, item.scale_level) for item in event.scale_status] == [(ASPECT, 2)]
        changes = ended(story).resource_changes
        assert changes is not None
        assert [(vnfc.id, vnfc.change_type) for vnfc in changes.affected_vnfcs] == [
            ("server-2", "ADDED"), ("server-3", "ADDED"),
        ]  # fmt: skip
        assert levels(story) == {ASPECT: 2}
        story.do(scale("SCALE_IN"))
        ended(story)
        assert (levels(story), vnfcs(story)) == ({ASPECT: 1}, ["server-1", "server-2"])

    def test_by_one_step_when_none_is_said(self) -> None:
        event = started(told(*INSTANTIATED), scale())
        assert event.params == {"type": "SCALE_OUT", "aspectId": ASPECT, "numberOfSteps": 1}

    @pytest.mark.parametrize(
        ("command", "pointer", "words"),
        [
            (scale(aspectId="VDU9_scale"), "/aspectId", "Invalid aspectId 'VDU9_scale': the VNF has VDU1_scale."),
            (scale(numberOfSteps=3), "/numberOfSteps", "Invalid numberOfSteps '3'"),
            (scale("SCALE_IN"), "/numberOfSteps", "can be scaled between 0 and 2"),
        ],
    )
    def test_refuses(self, command: VnfCommand, pointer: str, words: str) -> None:
        error = refusal(told(*INSTANTIATED), command)
        assert (error.status, error.pointer) == (400, pointer)
        assert words in error.detail

    def test_refuses_when_the_vnfd_was_changed_since_it_was_looked_up(self) -> None:
        other = msgspec.structs.replace(VNFD, vnfd_id="vnfd-2")
        error = refusal(told(*INSTANTIATED), scale(vnfd=other))
        assert (error.status, "try again" in error.detail) == (409, True)


class TestScaleToLevel:
    @pytest.mark.parametrize(
        ("command", "level"),
        [(scale_to_level("three"), 2), (scale_to_level({ASPECT: 1}), 1), (scale_to_level("one"), 0)],
    )
    def test_leads_there(self, command: VnfCommand, level: int) -> None:
        story = told(*INSTANTIATED, command)
        ended(story)
        assert (levels(story), len(vnfcs(story))) == ({ASPECT: level}, level + 1)

    @pytest.mark.parametrize(
        ("command", "pointer", "words"),
        [
            (scale_to_level("four"), "/instantiationLevelId", "flavour 'simple' has one, three, two."),
            (scale_to_level({"VDU9_scale": 1}), "/scaleInfo/0/aspectId", "the VNF has VDU1_scale."),
            (scale_to_level({ASPECT: 3}), "/scaleInfo/0/scaleLevel", "aspect 'VDU1_scale' has 0 to 2."),
        ],
    )
    def test_refuses(self, command: VnfCommand, pointer: str, words: str) -> None:
        error = refusal(told(*INSTANTIATED), command)
        assert (error.status, error.pointer) == (400, pointer)
        assert words in error.detail

    def test_refuses_an_aspect_that_is_named_twice(self) -> None:
        command = scale_to_level({ASPECT: 1})
        twice = msgspec.structs.replace(command.request, scale_info=(command.request.scale_info or ()) * 2)
        error = refusal(told(*INSTANTIATED), type(command)(twice, VNFD))
        assert (error.status, error.pointer) == (400, "/scaleInfo/1/aspectId")


class TestHeal:
    TWO = (*INSTANTIATED, scale(), *[confirmed] * 4)

    def test_of_one(self) -> None:
        story = told(*self.TWO)
        event = started(story, heal(vnfcInstanceId=["VDU1-server-2"], cause="high load"))
        assert [step.name for step in event.steps] == ["grant", "mark-unhealthy", *UPDATE]
        changes = ended(story).resource_changes
        assert changes is not None
        assert {(vnfc.id, vnfc.change_type) for vnfc in changes.affected_vnfcs} == {
            ("server-2", "REMOVED"), ("server-3", "ADDED"),
        }  # fmt: skip
        assert levels(story) == {ASPECT: 1}

    def test_of_all(self) -> None:
        story = told(*self.TWO)
        event = started(story, heal(additionalParams={"all": True}))
        assert event.params == {"additionalParams": {"all": True}}
        ended(story)
        assert not {"server-1", "server-2"} & set(vnfcs(story))

    @pytest.mark.parametrize(
        ("command", "pointer", "words"),
        [
            (heal(vnfcInstanceId=["VDU1-server-1", "x"]), "/vnfcInstanceId/1", "the VNF has VDU1-server-1."),
            (heal(vnfcInstanceId=["server-1"]), "/vnfcInstanceId/0", "Invalid vnfcInstanceId 'server-1'"),
            (heal(additionalParams={"all": "yes"}), "/additionalParams/all", "true or false"),
        ],
    )
    def test_refuses(self, command: VnfCommand, pointer: str, words: str) -> None:
        error = refusal(told(*INSTANTIATED), command)
        assert (error.status, error.pointer) == (400, pointer)
        assert words in error.detail


class TestChangeExtConn:
    def test_tells_what_is_connected_otherwise(self) -> None:
        story = told(*INSTANTIATED, change_ext_conn()).until("read-back", confirmed)
        info = story.vnf.instantiated_vnf_info
        assert info is not None
        link = ExtVirtualLinkInfo(
            id="ext", resource_handle=ResourceHandle(resource_id="net-9"),
            current_vnf_ext_cp_data=(VnfExtCpData(cpd_id="CP1", cp_config={"a": VnfExtCpConfig()}),),
        )  # fmt: skip
        after: InstantiatedVnfInfo = msgspec.structs.replace(info, ext_virtual_link_info=(link,))
        completed = story.do(confirmed(story.vnf, instantiated_vnf_info=msgspec.to_builtins(after)))[-1]
        assert isinstance(completed, OperationCompleted)
        assert completed.changed_ext_connectivity == (link,)

    def test_may_bring_another_vim_which_goes_again_when_it_is_rolled_back(self) -> None:
        more = {"vim2": msgspec.structs.replace(CONNECTIONS["vim1"], vim_id="another")}
        story = told(*INSTANTIATED)
        event = started(story, change_ext_conn(connections=more))
        assert (event.vim_connections, event.lane) == (CONNECTIONS | more, CONNECTIONS["vim1"].vim_id)
        story.do(confirmed)
        assert story.vnf.vim_connections == CONNECTIONS | more
        for report in (failed, handle("rollback"), confirmed, confirmed, confirmed):
            story.do(report)
        assert (story.operation.state, story.vnf.vim_connections) == ("ROLLED_BACK", CONNECTIONS)

    @pytest.mark.parametrize(
        ("links", "pointer"),
        [
            ([ext_link(), ext_link("CP9", id="other")], "/extVirtualLinks/1/extCps/0/cpdId"),
            ([ext_link(), ext_link(id="other")], "/extVirtualLinks/1/extCps/0/cpdId"),
            ([ext_link(), ext_link("CP9")], "/extVirtualLinks/1/id"),
            (
                [ext_link(extCps=[{"cpdId": "CP1", "cpConfig": {"a/b": {"linkPortId": "port-1"}}}])],
                "/extVirtualLinks/0/extCps/0/cpConfig/a~1b/linkPortId",
            ),
        ],
    )
    def test_refuses(self, links: list[dict[str, Any]], pointer: str) -> None:
        error = refusal(told(*INSTANTIATED), change_ext_conn(*links))
        assert (error.status, error.pointer) == (400, pointer)


class TestChangeFlavour:
    def test_takes_the_level_and_the_properties_of_the_request(self) -> None:
        story = told(*INSTANTIATED)
        command = change_flavour(
            instantiationLevelId="two", extensions={"region": "south"}, vnfConfigurableProperties={"autoscale": True}
        )
        event = started(story, command)
        assert [step.name for step in event.steps] == ["grant", *UPDATE]
        ended(story)
        info = story.vnf.instantiated_vnf_info
        assert info is not None
        assert (info.flavour_id, levels(story), len(vnfcs(story))) == ("large", {ASPECT: 1}, 2)
        assert (story.vnf.extensions, story.vnf.configurable_properties) == ({"region": "south"}, {"autoscale": True})

    def test_a_null_takes_an_extension_away(self) -> None:
        story = told(*INSTANTIATED, change_flavour(extensions={"region": None}))
        assert "region" in story.vnf.extensions
        ended(story)
        assert story.vnf.extensions == {}

    def test_rolled_back_has_the_flavour_of_before(self) -> None:
        story = told(*INSTANTIATED, change_flavour(), confirmed, failed, handle("rollback"), *[confirmed] * 3)
        info = story.vnf.instantiated_vnf_info
        assert info is not None
        assert (story.operation.state, info.flavour_id) == ("ROLLED_BACK", "simple")

    @pytest.mark.parametrize(
        ("command", "status", "pointer", "words"),
        [
            (change_flavour("x"), 400, "/newFlavourId", "Invalid newFlavourId 'x': VNFD 'vnfd-1' has large, simple."),
            (change_flavour("simple"), 400, "/newFlavourId", "already"),
            (
                change_flavour(instantiationLevelId="three"),
                400,
                "/instantiationLevelId",
                "flavour 'large' has one, two.",
            ),
            (change_flavour(extVirtualLinks=[ext_link("CP9")]), 400, "/extVirtualLinks/0/extCps/0/cpdId", "CP1"),
            (change_flavour(extensions={"zone": 1}), 400, "/extensions/zone", "region"),
        ],
    )
    def test_refuses(self, command: VnfCommand, status: int, pointer: str, words: str) -> None:
        error = refusal(told(*INSTANTIATED), command)
        assert (error.status, error.pointer) == (status, pointer)
        assert words in error.detail

    def test_refuses_a_flavour_without_a_template_or_servers(self) -> None:
        bare = msgspec.structs.replace(VNFD.flavours["large"], base_hot=None, vdus={})
        vnfd = msgspec.structs.replace(VNFD, flavours=VNFD.flavours | {"large": bare})
        error = refusal(told(*INSTANTIATED), change_flavour(vnfd=vnfd))
        assert (error.status, error.pointer) == (422, "/newFlavourId")


class TestOperate:
    def test_stops_and_starts(self) -> None:
        story = told(*INSTANTIATED)
        event = started(story, operate())
        assert [step.name for step in event.steps] == ["grant", "operate-servers", "await-servers", "read-back"]
        ended(story)
        info = story.vnf.instantiated_vnf_info
        assert info is not None
        assert (info.vnf_state, story.vnf.instantiation_state) == ("STOPPED", "INSTANTIATED")
        story.do(operate("STARTED"))
        ended(story)
        assert story.vnf.instantiated_vnf_info is not None
        assert story.vnf.instantiated_vnf_info.vnf_state == "STARTED"

    def test_gracefully_waits_first(self) -> None:
        event = started(told(*INSTANTIATED), operate(stopType="GRACEFUL", gracefulStopTimeout=0))
        assert [step.name for step in event.steps][1] == "graceful-wait"
        assert event.params == {"changeStateTo": "STOPPED", "stopType": "GRACEFUL", "gracefulStopTimeout": 0}

    def test_of_one_vnfc(self) -> None:
        story = told(*INSTANTIATED, scale(), *[confirmed] * 4, operate(vnfcInstanceId=["VDU1-server-1"]))
        ended(story)
        info = story.vnf.instantiated_vnf_info
        assert info is not None
        assert [vnfc.vnfc_state for vnfc in info.vnfc_info] == ["STOPPED", "STARTED"]
        assert refusal(story, operate(vnfcInstanceId=["VDU1-server-1"])).status == 409
        assert started(story, operate()), "the other one still runs"

    @pytest.mark.parametrize(
        ("command", "status", "pointer"),
        [
            (operate(vnfcInstanceId=["x"]), 400, "/vnfcInstanceId/0"),
            (operate("STARTED", stopType="FORCEFUL"), 400, "/stopType"),
            (operate("STARTED", gracefulStopTimeout=1), 400, "/gracefulStopTimeout"),
            (operate(stopType="FORCEFUL", gracefulStopTimeout=1), 400, "/gracefulStopTimeout"),
            (operate("STARTED"), 409, None),
        ],
    )
    def test_refuses(self, command: VnfCommand, status: int, pointer: str | None) -> None:
        error = refusal(told(*INSTANTIATED), command)
        assert (error.status, error.pointer) == (status, pointer)


class TestInstantiateAsks:
    """What INSTANTIATE names is looked up before it starts."""

    @pytest.mark.parametrize(
        ("members", "pointer"),
        [
            ({"extensions": {"zone": "x"}}, "/extensions/zone"),
            ({"extensions": {"region": 7}}, "/extensions/region"),
            ({"vnfConfigurableProperties": {"autoscale": 1}}, "/vnfConfigurableProperties/autoscale"),
            ({"extVirtualLinks": [ext_link("CP9")]}, "/extVirtualLinks/0/extCps/0/cpdId"),
            (
                {"extManagedVirtualLinks": [{"id": "m", "vnfVirtualLinkDescId": "lan", "resourceId": "net-1"}]},
                "/extManagedVirtualLinks/0/vnfVirtualLinkDescId",
            ),
            (
                {"additionalParams": {"lcm-operation-user-data": "a.py"}},
                "/additionalParams/lcm-operation-user-data-class",
            ),
            ({"additionalParams": {"lcm-operation-user-data-class": "A"}}, "/additionalParams/lcm-operation-user-data"),
            (
                {"additionalParams": {"lcm-operation-user-data": 1, "lcm-operation-user-data-class": "A"}},
                "/additionalParams/lcm-operation-user-data",
            ),
        ],
    )
    def test_refuses(self, members: dict[str, Any], pointer: str) -> None:
        error = refusal(told(create()), instantiate(**members))
        assert (error.status, error.pointer) == (400, pointer)

    def test_takes_any_extension_of_a_vnfd_that_declares_none(self) -> None:
        free = msgspec.structs.replace(VNFD, extensions={}, configurable_properties={})
        members: dict[str, Any] = {"extensions": {"zone": "x"}, "vnfConfigurableProperties": {"autoscale": 1}}
        assert started(told(create()), instantiate(vnfd=free, **members)).params["extensions"] == {"zone": "x"}

    def test_refuses_a_flavour_that_is_neither_template_nor_servers(self) -> None:
        made = msgspec.structs.replace(VNFD.flavours["simple"], base_hot=None)
        pods = {name: msgspec.structs.replace(vdu, container_ids=("c",)) for name, vdu in made.vdus.items()}
        vnfd = msgspec.structs.replace(VNFD, flavours={"simple": msgspec.structs.replace(made, vdus=pods)})
        error = refusal(told(create()), instantiate(vnfd=vnfd))
        assert (error.status, error.pointer) == (422, "/flavourId")
        assert "no BaseHOT" in error.detail
        vnfd = msgspec.structs.replace(VNFD, flavours={"simple": made})
        assert started(told(create()), instantiate(vnfd=vnfd)).operation == "INSTANTIATE"

    def test_leads_to_the_scale_levels_of_its_level(self) -> None:
        story = told(create(), instantiate(instantiationLevelId="two"), *[confirmed] * 4)
        assert (levels(story), len(vnfcs(story))) == ({ASPECT: 1}, 2)


def test_images_of_an_upload_that_failed_go_with_the_vnf() -> None:
    story = told(*INSTANTIATED, change_vnfpkg(SCRIPTED_COMING)).until("add-images", confirmed)
    for move in (failed, handle("rollback")):
        story.do(move)
    story.until("", confirmed)
    assert story.operation.state == "ROLLED_BACK"
    story.do(terminate())
    assert "delete-images" in [run.step.name for run in story.operation.plan]
    story.until("", confirmed)
    assert (story.vnf.instantiation_state, story.vnf.has_images) == ("NOT_INSTANTIATED", False)

"""MODIFY_INFO: an RFC 7396 merge patch of what is the requester's to change, done in one commit."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from forestay_lcm.domain.commands import VnfCommand
from forestay_lcm.domain.events import ModificationStarted, OperationCompleted, VnfInfoModified

from tests.lcm.domain.story import Story, kinds, refusal, told
from tests.lcm.samples import CONNECTIONS, VNFD, confirmed, create, failed, instantiate, modify, terminate

CREATED = (create(vnfInstanceName="edge", metadata={"owner": {"name": "ops", "phone": "1"}}),)
INSTANTIATED = (*CREATED, instantiate(), *[confirmed] * 4)
OTHER = msgspec.structs.replace(
    VNFD, vnfd_id="vnfd-2", provider="Backstay", product_name="Other", software_version="2.0", vnfd_version="2.1"
)


def changed(story: Story) -> dict[str, Any]:
    return story.operation.changed_info


@pytest.mark.parametrize("before", [CREATED, INSTANTIATED], ids=["created", "instantiated"])
class TestInBothStates:
    def test_is_one_commit_that_ends_completed(self, before: tuple[VnfCommand, ...]) -> None:
        story = told(*before)
        state = story.vnf.instantiation_state
        info = story.vnf.instantiated_vnf_info
        events = story.do(modify(vnfInstanceName="core"))
        assert kinds(events) == ["ModificationStarted", "VnfInfoModified", "OperationCompleted"]
        started, modified, completed = events
        assert isinstance(started, ModificationStarted)
        assert (started.operation, started.params, started.steps) == (
            "MODIFY_INFO", {"vnfInstanceName": "core"}, (),
        )  # fmt: skip
        assert modified == VnfInfoModified(name="core")
        assert isinstance(completed, OperationCompleted)
        assert (story.operation.state, story.operation.operation) == ("COMPLETED", "MODIFY_INFO")
        assert (story.vnf.name, changed(story)) == ("core", {"vnfInstanceName": "core"})
        assert (story.vnf.instantiation_state, story.vnf.instantiated_vnf_info) == (state, info)

    def test_null_takes_away_and_what_is_absent_stays(self, before: tuple[VnfCommand, ...]) -> None:
        story = told(*before)
        story.do(modify(vnfInstanceName=None, metadata={"owner": {"phone": None}, "place": "north", "maturity": None}))
        assert story.vnf.name is None
        assert story.vnf.metadata == {"owner": {"name": "ops"}, "place": "north"}
        assert changed(story) == {"metadata": story.vnf.metadata}
        story.do(modify(metadata=None, vnfInstanceDescription="of the north"))
        assert (story.vnf.metadata, story.vnf.description) == ({}, "of the north")

    def test_extensions_and_properties(self, before: tuple[VnfCommand, ...]) -> None:
        story = told(*before)
        story.do(modify(extensions={"region": "south"}, vnfConfigurableProperties={"autoscale": True}))
        assert (story.vnf.extensions, story.vnf.configurable_properties) == ({"region": "south"}, {"autoscale": True})
        assert changed(story) == {"extensions": {"region": "south"}, "vnfConfigurableProperties": {"autoscale": True}}
        story.do(modify(extensions={"region": None, "nobody knows": None}))
        assert story.vnf.extensions == {}

    def test_another_vnfd_brings_its_names(self, before: tuple[VnfCommand, ...]) -> None:
        story = told(*before, modify(OTHER, vnfdId="vnfd-2"))
        vnf = story.vnf
        assert (vnf.vnfd_id, vnf.provider, vnf.product_name, vnf.software_version, vnf.vnfd_version) == (
            "vnfd-2", "Backstay", "Other", "2.0", "2.1",
        )  # fmt: skip
        assert changed(story) == {
            "vnfdId": "vnfd-2", "vnfProvider": "Backstay", "vnfProductName": "Other", "vnfSoftwareVersion": "2.0",
            "vnfdVersion": "2.1",
        }  # fmt: skip

    def test_nothing_to_change_is_an_operation_too(self, before: tuple[VnfCommand, ...]) -> None:
        story = told(*before)
        vnf = story.vnf
        story.do(modify(vnfcInfoModifications=[]))
        assert story.operation.state == "COMPLETED"
        assert msgspec.structs.replace(story.vnf, operation=None) == msgspec.structs.replace(vnf, operation=None)

    @pytest.mark.parametrize(
        ("command", "status", "pointer"),
        [
            (modify(extensions={"zone": "x"}), 400, "/extensions/zone"),
            (modify(extensions={"region": ["a"]}), 400, "/extensions/region"),
            (modify(vnfConfigurableProperties={"autoscale": "no"}), 400, "/vnfConfigurableProperties/autoscale"),
            (modify(metadata={"VDU_VNFc_mapping": {"VDU1": "a"}}), 400, "/metadata/VDU_VNFc_mapping"),
            (
                modify(vnfcInfoModifications=[{"id": "x", "vnfcConfigurableProperties": {}}]),
                400,
                "/vnfcInfoModifications/0/id",
            ),
            (modify(OTHER, vnfInstanceName="x"), 409, None),
        ],
    )
    def test_refuses(
        self, before: tuple[VnfCommand, ...], command: VnfCommand, status: int, pointer: str | None
    ) -> None:
        error = refusal(told(*before), command)
        assert (error.status, error.pointer) == (status, pointer)


class TestVimConnections:
    def test_are_merged(self) -> None:
        story = told(*INSTANTIATED)
        story.do(modify(vimConnectionInfo={"vim1": {"accessInfo": {"password": "sealed:1.other", "username": None}}}))
        info = story.vnf.vim_connections["vim1"]
        assert info.access_info == {"password": "sealed:1.other"}
        assert (info.vim_id, info.interface_info) == (CONNECTIONS["vim1"].vim_id, CONNECTIONS["vim1"].interface_info)
        assert list(changed(story)) == ["vimConnectionInfo"]

    def test_stay_over_the_next_operation(self) -> None:
        story = told(*INSTANTIATED, modify(vimConnectionInfo={"vim1": {"vimId": "another"}}), terminate())
        assert story.operation.lane == "another"

    @pytest.mark.parametrize(
        ("before", "patch", "status"),
        [
            (CREATED, {"vim1": {"vimId": "x"}}, 400),
            (INSTANTIATED, {"vim1": None}, 400),
            (INSTANTIATED, {"vim2": {"vimId": "x"}}, 400),
            (INSTANTIATED, {"vim1": {"interfaceInfo": "x"}}, 400),
            (INSTANTIATED, {"vim1": {"vimType": "ETSINFV.OPENVIM.V_1"}}, 422),
        ],
        ids=["not instantiated", "none left", "no vimType", "wrong shape", "no driver"],
    )
    def test_refuses(self, before: tuple[VnfCommand, ...], patch: dict[str, Any], status: int) -> None:
        error = refusal(told(*before), modify(vimConnectionInfo=patch))
        assert (error.status, error.pointer) == (status, "/vimConnectionInfo")


def test_properties_of_single_vnfcs_are_merged() -> None:
    story = told(*INSTANTIATED)
    for properties in ({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"d": 3}}):
        item = {"id": "VDU1-server-1", "vnfcConfigurableProperties": properties}
        story.do(modify(vnfcInfoModifications=[item]))
    info = story.vnf.instantiated_vnf_info
    assert info is not None
    assert info.vnfc_info[0].vnfc_configurable_properties == {"b": {"c": 2, "d": 3}}
    assert changed(story) == {"vnfcInfoModifications": [item]}  # pyright: ignore[reportPossiblyUnboundVariable]


def test_an_instantiated_vnf_keeps_to_vnfds_that_have_its_flavour() -> None:
    flavours = {"large": VNFD.flavours["large"]}
    without = msgspec.structs.replace(OTHER, flavours=flavours)
    error = refusal(told(*INSTANTIATED), modify(without, vnfdId="vnfd-2"))
    assert (error.status, error.pointer) == (422, "/vnfdId")
    assert told(*CREATED, modify(without, vnfdId="vnfd-2")).vnf.vnfd_id == "vnfd-2"


@pytest.mark.parametrize(
    ("before", "state"),
    [
        ((*CREATED, instantiate()), "STARTING"),
        ((*CREATED, instantiate(), confirmed), "PROCESSING"),
        ((*CREATED, instantiate(), confirmed, failed), "FAILED_TEMP"),
    ],
)
def test_a_busy_instance_is_not_modified(before: tuple[VnfCommand, ...], state: str) -> None:
    error = refusal(told(*before), modify(vnfInstanceName="x"))
    assert (error.status, error.extra["lcmOpOcc"]["operationState"]) == (409, state)
    assert refusal(told(*before), modify(vnfInstanceName="x"), project="other").status == 404

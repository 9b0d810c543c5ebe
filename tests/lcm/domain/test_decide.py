"""Every command in every state: what it leads to, or the words and status with which it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from forestay_lcm.domain.commands import DeleteVnf, Handle, ReportStep, VnfCommand
from forestay_lcm.domain.events import (
    OperationCompleted,
    OperationFailedTemp,
    OperationRolledBack,
    OperationRollingBack,
    OperationStarted,
    StepConfirmed,
    StepIntended,
    StepUnknown,
    VnfCreated,
)
from forestay_lcm.domain.state import Vnf

from tests.lcm.domain.story import VNF_ID, Story, kinds, refusal, told
from tests.lcm.samples import (
    CONNECTIONS,
    change_flavour,
    confirmed,
    create,
    failed,
    handle,
    instantiate,
    present,
    terminate,
    unknown,
)

INSTANTIATING = (create(), instantiate())
INSTANTIATED = (*INSTANTIATING, confirmed, confirmed, confirmed, confirmed)


class TestCreate:
    def test_takes_names_from_the_request_and_defaults_from_the_vnfd(self) -> None:
        command = create(vnfInstanceName="edge", vnfInstanceDescription="of the north", metadata={"owner": "ops"})
        (created,) = told().do(command)
        assert created == VnfCreated(
            vnfd_id="vnfd-1",
            provider="Forestay",
            product_name="Sample",
            software_version="1.0",
            vnfd_version="1.0",
            name="edge",
            description="of the north",
            metadata={"maturity": "test", "owner": "ops"},
            extensions={"region": "north"},
            configurable_properties={"autoscale": False},
        )

    def test_is_done_once(self) -> None:
        assert told(create()).do(create()) == []

    @pytest.mark.parametrize("mapping", ["VDU1", ["a"], {"VDU1": "a"}, {"VDU1": [1]}])
    def test_refuses_a_vnfc_mapping_of_another_shape(self, mapping: object) -> None:
        error = refusal(told(), create(metadata={"VDU_VNFc_mapping": mapping}))
        assert (error.status, error.pointer) == (400, "/metadata/VDU_VNFc_mapping")
        assert "list of VNFC ids" in error.detail

    def test_refuses_a_vnfc_id_that_is_given_twice(self) -> None:
        error = refusal(told(), create(metadata={"VDU_VNFc_mapping": {"VDU1": ["a", "b"], "VDU2": ["b"]}}))
        assert (error.status, error.detail) == (400, "VDU_VNFc_mapping names b more than once.")

    def test_takes_a_vnfc_mapping(self) -> None:
        mapping = {"VDU_VNFc_mapping": {"VDU1": ["a", "b"]}}
        assert told(create(metadata=mapping)).vnf.metadata == {"maturity": "test"} | mapping


class TestInstantiate:
    def test_records_the_plan_and_intends_the_grant(self) -> None:
        story = told(create())
        started, intended = story.do(instantiate(extensions={"region": "south"}))
        assert isinstance(started, OperationStarted)
        assert [step.name for step in started.steps] == ["grant", "create-stack", "await-stack", "read-back"]
        assert started.lane == CONNECTIONS["vim1"].vim_id
        assert started.vim_connections == CONNECTIONS
        assert started.params == {"flavourId": "simple", "extensions": {"region": "south"}}
        assert intended == StepIntended(op_id=started.op_id, step="grant", attempt=1)
        assert story.operation.state == "STARTING"

    def test_a_confirmed_grant_lets_it_proceed(self) -> None:
        story = told(*INSTANTIATING)
        assert kinds(story.do(confirmed)) == ["StepConfirmed", "OperationProcessing", "StepIntended"]
        assert (story.operation.state, present(story.vnf)[:2]) == ("PROCESSING", ("create-stack", 1))

    def test_ends_instantiated_with_what_was_read_back(self) -> None:
        story = told(
            create(), instantiate(extensions={"region": "south"}, vnfConfigurableProperties={"autoscale": True})
        )
        events = [story.do(confirmed) for _ in range(4)]
        assert [kinds(some)[-1] for some in events] == ["StepIntended"] * 3 + ["OperationCompleted"]
        vnf = story.vnf
        assert (vnf.instantiation_state, story.operation.state) == ("INSTANTIATED", "COMPLETED")
        assert vnf.instantiated_vnf_info is not None
        assert [vnfc.id for vnfc in vnf.instantiated_vnf_info.vnfc_resource_info] == ["server-1"]
        assert (vnf.extensions, vnf.configurable_properties) == ({"region": "south"}, {"autoscale": True})
        assert vnf.vim_connections == CONNECTIONS
        changes = story.operation.resource_changes
        assert changes is not None
        assert [(vnfc.id, vnfc.change_type) for vnfc in changes.affected_vnfcs] == [("server-1", "ADDED")]

    def test_what_the_request_sets_is_not_the_instances_before_the_end(self) -> None:
        story = told(create(), instantiate(extensions={"region": "south"}), confirmed, failed, handle("rollback"))
        story.do(confirmed)
        story.do(confirmed)
        assert story.operation.state == "ROLLED_BACK"
        assert story.vnf.extensions == {"region": "north"}

    @pytest.mark.parametrize(
        ("command", "status", "pointer", "words"),
        [
            (
                instantiate(flavourId="big"),
                400,
                "/flavourId",
                "Invalid flavourId 'big': VNFD 'vnfd-1' has large, simple.",
            ),
            (
                instantiate(instantiationLevelId="x"),
                400,
                "/instantiationLevelId",
                "flavour 'simple' has one, three, two.",
            ),
            (
                instantiate("ETSINFV.OPENVIM.V_1"),
                422,
                "/vimConnectionInfo",
                "vimType 'ETSINFV.OPENVIM.V_1' has no driver",
            ),
        ],
    )
    def test_refuses(self, command: VnfCommand, status: int, pointer: str, words: str) -> None:
        error = refusal(told(create()), command)
        assert (error.status, error.pointer) == (status, pointer)
        assert words in error.detail

    def test_is_refused_when_instantiated(self) -> None:
        error = refusal(told(*INSTANTIATED), instantiate())
        assert (error.status, error.detail) == (409, f"VnfInstance {VNF_ID} is instantiated.")


class TestTerminate:
    def test_forceful_does_not_wait(self) -> None:
        started = told(*INSTANTIATED).do(terminate())[0]
        assert isinstance(started, OperationStarted)
        assert [step.name for step in started.steps] == ["grant", "delete-stack", "await-deleted"]

    def test_graceful_waits_before_it_deletes(self) -> None:
        started = told(*INSTANTIATED).do(terminate("GRACEFUL", gracefulTerminationTimeout=7))[0]
        assert isinstance(started, OperationStarted)
        assert [step.name for step in started.steps] == ["grant", "graceful-wait", "delete-stack", "await-deleted"]
        assert started.params == {"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 7}

    def test_ends_not_instantiated_without_resources(self) -> None:
        story = told(*INSTANTIATED, terminate(), confirmed, confirmed)
        completed = story.do(confirmed)[-1]
        assert isinstance(completed, OperationCompleted)
        vnf = story.vnf
        assert vnf.instantiation_state == "NOT_INSTANTIATED"
        assert vnf.instantiated_vnf_info is not None
        assert (vnf.instantiated_vnf_info.flavour_id, vnf.instantiated_vnf_info.vnf_state) == ("simple", "STOPPED")
        assert not vnf.instantiated_vnf_info.vnfc_resource_info
        assert vnf.vim_connections == {}
        assert completed.resource_changes is not None
        assert [vnfc.change_type for vnfc in completed.resource_changes.affected_vnfcs] == ["REMOVED"]

    def test_is_refused_when_not_instantiated(self) -> None:
        error = refusal(told(create()), terminate())
        assert (error.status, error.detail) == (409, f"VnfInstance {VNF_ID} is not instantiated.")

    def test_can_be_followed_by_another_instantiate(self) -> None:
        story = told(*INSTANTIATED, terminate(), confirmed, confirmed, confirmed, instantiate())
        assert story.operation.state == "STARTING"
        assert story.vnf.vim_connections == CONNECTIONS

    def test_cannot_be_rolled_back(self) -> None:
        error = refusal(told(*INSTANTIATED, terminate(), confirmed, failed), handle("rollback"))
        assert error.status == 409
        assert error.detail.startswith("Rollback of TERMINATE is not supported")


class TestDelete:
    def test_of_an_instance_without_resources(self) -> None:
        story = told(create())
        assert kinds(story.do(DeleteVnf())) == ["VnfDeleted"]
        assert story.vnf.deleted

    @pytest.mark.parametrize("command", [DeleteVnf(), instantiate(), terminate(), Handle("op", "retry")])
    def test_leaves_nothing_to_command(self, command: VnfCommand) -> None:
        assert refusal(told(create(), DeleteVnf()), command).status == 404
        assert refusal(told(), command).status == 404

    def test_is_refused_when_instantiated(self) -> None:
        error = refusal(told(*INSTANTIATED), DeleteVnf())
        assert (error.status, error.detail) == (409, f"VnfInstance {VNF_ID} is instantiated.")

    def test_is_possible_after_an_operation_was_given_up(self) -> None:
        assert kinds(told(*INSTANTIATING, confirmed, failed, handle("fail")).do(DeleteVnf())) == ["VnfDeleted"]


@pytest.mark.parametrize("command", [DeleteVnf(), instantiate(), terminate()])
@pytest.mark.parametrize(
    ("before", "operation", "state"),
    [
        (INSTANTIATING, "INSTANTIATE", "STARTING"),
        ((*INSTANTIATING, confirmed), "INSTANTIATE", "PROCESSING"),
        ((*INSTANTIATING, confirmed, failed), "INSTANTIATE", "FAILED_TEMP"),
        ((*INSTANTIATING, confirmed, failed, handle("rollback")), "INSTANTIATE", "ROLLING_BACK"),
        ((*INSTANTIATED, terminate()), "TERMINATE", "STARTING"),
        ((*INSTANTIATED, terminate("GRACEFUL"), confirmed), "TERMINATE", "PROCESSING"),
        ((*INSTANTIATED, terminate(), confirmed, failed), "TERMINATE", "FAILED_TEMP"),
    ],
)
def test_a_busy_instance_refuses_and_names_the_operation(
    command: VnfCommand, before: tuple[VnfCommand, ...], operation: str, state: str
) -> None:
    story = told(*before)
    error = refusal(story, command)
    assert (error.status, error.detail) == (409, f"Other LCM operation of vnfInstance {VNF_ID} is in progress.")
    assert error.extra == {
        "lcmOpOcc": {"id": story.operation.id, "operation": operation, "operationState": state}
    }  # fmt: skip


@pytest.mark.parametrize("command", [DeleteVnf(), instantiate(), terminate(), handle("retry"), confirmed])
def test_another_projects_instance_does_not_exist(
    command: VnfCommand | Callable[[Vnf | None], VnfCommand],
) -> None:
    error = refusal(told(*INSTANTIATING), command, project="other")
    assert (error.status, error.detail) == (404, "VnfInstance not found.")


class TestHandling:
    @pytest.mark.parametrize("how", ["retry", "rollback", "fail"])
    @pytest.mark.parametrize("before", [INSTANTIATING, (*INSTANTIATING, confirmed), INSTANTIATED])
    def test_needs_failed_temp(self, how: Literal["retry", "rollback", "fail"], before: tuple[VnfCommand, ...]) -> None:
        story = told(*before)
        error = refusal(story, handle(how))
        assert (error.status, error.detail) == (409, f"LCM operation {story.operation.id} not FAILED_TEMP.")

    def test_of_an_operation_that_is_not_the_latest_is_refused(self) -> None:
        error = refusal(told(*INSTANTIATING, confirmed, failed), Handle("older", "retry"))
        assert (error.status, error.detail) == (409, "LCM operation older not FAILED_TEMP.")

    @pytest.mark.parametrize(
        ("at", "continues"),
        [("create-stack", "create-stack"), ("await-stack", "create-stack"), ("read-back", "read-back")],
    )
    def test_retry_continues_at_the_step_that_makes_sense(self, at: str, continues: str) -> None:
        story = told(*INSTANTIATING).until(at, confirmed)
        story.do(failed)
        assert kinds(story.do(handle("retry"))) == ["OperationProcessing", "StepIntended"]
        assert present(story.vnf)[:2] == (continues, 2)
        story.until("", confirmed)
        assert (story.operation.state, story.operation.error) == ("COMPLETED", None)

    def test_a_step_that_is_done_again_has_no_result_meanwhile(self) -> None:
        story = told(*INSTANTIATING).until("await-stack", confirmed)
        assert "create-stack" in story.operation.results
        story.do(failed)
        story.do(handle("retry"))
        assert "create-stack" not in story.operation.results

    def test_retry_of_terminate_deletes_anew(self) -> None:
        story = told(*INSTANTIATED, terminate()).until("await-deleted", confirmed)
        story.do(failed)
        story.do(handle("retry"))
        assert present(story.vnf)[:2] == ("delete-stack", 2)

    def test_rollback_compensates_what_may_have_been_done(self) -> None:
        story = told(*INSTANTIATING, confirmed, failed)
        rolling, intended = story.do(handle("rollback"))
        assert isinstance(rolling, OperationRollingBack)
        assert [step.name for step in rolling.steps] == ["delete-stack", "await-deleted"]
        assert intended == StepIntended(op_id=story.operation.id, step="delete-stack", attempt=1)
        story.do(confirmed)
        assert kinds(story.do(confirmed)) == ["StepConfirmed", "OperationRolledBack"]
        assert story.vnf.instantiation_state == "NOT_INSTANTIATED"
        assert story.vnf.vim_connections == {}
        assert story.operation.error is not None, "what went wrong stays to be read"

    def test_a_failed_rollback_can_be_rolled_back_again(self) -> None:
        story = told(*INSTANTIATING, confirmed, failed, handle("rollback"), failed)
        assert story.operation.state == "FAILED_TEMP"
        story.do(handle("rollback"))
        assert present(story.vnf)[:2] == ("delete-stack", 2), (
            "so that a late report of the first is no report of this one"
        )
        story.do(confirmed)
        assert kinds(story.do(confirmed))[-1] == "OperationRolledBack"

    def test_an_operation_whose_rollback_failed_is_tried_again_from_what_may_be_undone(self) -> None:
        story = told(*INSTANTIATING).until("await-stack", confirmed)
        story.do(failed)
        story.do(handle("rollback"))
        story.do(failed)
        assert kinds(story.do(handle("retry"))) == ["OperationProcessing", "StepIntended"]
        assert present(story.vnf)[:2] == ("create-stack", 2), "its stack may be half gone"
        story.do(failed)
        story.do(handle("rollback"))
        assert present(story.vnf)[:2] == ("delete-stack", 2), "attempts are counted on over the retry"
        story.do(failed)
        story.do(handle("retry"))
        story.until("", confirmed)
        assert (story.operation.state, story.operation.error) == ("COMPLETED", None)

    def test_a_late_report_of_a_rollback_is_none_of_the_retry(self) -> None:
        story = told(*INSTANTIATED, change_flavour()).until("await-update", confirmed)
        story.do(failed)
        story.do(handle("rollback"))
        story.until("read-back", confirmed)
        late = confirmed(story.vnf)
        story.do(failed)
        story.do(handle("retry"))
        story.until("read-back", confirmed)
        assert story.do(lambda _: late) == [], "no two tries of a step have the same number"

    def test_fail_gives_up_as_it_is(self) -> None:
        story = told(*INSTANTIATING, confirmed, failed)
        assert kinds(story.do(handle("fail"))) == ["OperationFailed"]
        assert story.operation.state == "FAILED"
        assert story.operation.error is not None
        assert story.vnf.instantiation_state == "NOT_INSTANTIATED"
        assert story.vnf.vim_connections == {}, "as before the operation"

    def test_fail_of_terminate_leaves_it_instantiated(self) -> None:
        story = told(*INSTANTIATED, terminate(), confirmed, failed, handle("fail"))
        assert story.vnf.instantiation_state == "INSTANTIATED"
        assert story.vnf.vim_connections == CONNECTIONS
        assert kinds(story.do(terminate()))[0] == "OperationStarted"


class TestReports:
    def test_a_failed_step_says_which(self) -> None:
        story = told(*INSTANTIATING, confirmed)
        step_failed, ended = story.do(failed)
        assert isinstance(ended, OperationFailedTemp)
        assert ended.error == {
            "title": "Step failed", "status": 422, "detail": "No valid host was found.", "step": "create-stack",
        }  # fmt: skip
        assert kinds([step_failed]) == ["StepFailed"]

    def test_a_grant_that_is_refused_rolls_back_at_once(self) -> None:
        story = told(*INSTANTIATING)
        ended = story.do(failed)[-1]
        assert isinstance(ended, OperationRolledBack)
        assert ended.error is not None
        assert ended.error["step"] == "grant"
        assert story.vnf.vim_connections == {}

    def test_unknown_is_recorded_once_and_then_decided(self) -> None:
        story = told(*INSTANTIATING, confirmed)
        (event,) = story.do(unknown)
        assert isinstance(event, StepUnknown)
        assert story.do(unknown) == []
        assert present(story.vnf)[:2] == ("create-stack", 1), "the same attempt is looked at"
        assert isinstance(story.do(confirmed)[0], StepConfirmed)

    def test_unknown_may_turn_out_a_failure(self) -> None:
        story = told(*INSTANTIATING, confirmed, unknown)
        assert kinds(story.do(failed)) == ["StepFailed", "OperationFailedTemp"]

    @pytest.mark.parametrize("report", [confirmed, failed, unknown])
    def test_a_report_of_another_step_attempt_or_operation_changes_nothing(
        self, report: Callable[[Vnf | None], ReportStep]
    ) -> None:
        story = told(*INSTANTIATING)
        early = report(story.vnf)
        story.do(confirmed)
        assert story.do(early) == [], "the step is past"
        first = report(story.vnf)
        story.do(failed)
        assert story.do(first) == [], "the step has failed"
        story.do(handle("retry"))
        assert story.do(first) == [], "it is the second attempt"
        story.do(failed)
        story.do(handle("fail"))
        assert story.do(first) == [], "the operation has ended"
        story.do(instantiate())
        story.do(confirmed)
        assert story.do(first) == [], "it is another operation"

    def test_a_duplicate_changes_nothing(self) -> None:
        story = told(*INSTANTIATING)
        report = confirmed(story.vnf)
        assert story.do(report)
        assert story.do(report) == []


class TestDeterminism:
    def test_the_same_command_id_gives_the_same_ids_and_events(self) -> None:
        story = told(create())
        once = story.decide(instantiate(), command_id="c1")
        assert once == story.decide(instantiate(), command_id="c1")
        assert once != story.decide(instantiate(), command_id="c2")

    def test_the_whole_story_is_the_same_each_time(self) -> None:
        def tell() -> Story:
            return told(*INSTANTIATED, terminate("GRACEFUL"), confirmed, confirmed, failed, handle("retry"))

        assert tell().commits == tell().commits
        assert tell().state == tell().state

"""What is told of the life of an instance: pure, from its commits."""

from __future__ import annotations

from typing import Any

import pytest
from forestay_events.commit import Stored, encode
from forestay_lcm.api.links import Links
from forestay_lcm.domain.commands import DeleteVnf, Handle, ReportStep
from forestay_lcm.domain.events import OperationFailed
from forestay_lcm.domain.state import Vnf
from forestay_lcm.projections.instances import changes_of
from forestay_lcm.subscriptions.notifications import announcement
from forestay_notify.projection import Announcement

from tests.lcm.domain.story import VNF_ID, Story, told
from tests.lcm.samples import INFO, confirmed, create, instantiate, present, terminate

LINKS = Links("http://forestay")


def announced(story: Story) -> list[Announcement]:
    """What is announced of a story, from the bytes of its commits."""
    vnf: Vnf | None = None
    found: list[Announcement | None] = []
    for seq, commit in enumerate(story.commits, 1):
        changes = changes_of(vnf, Stored(seq, encode(commit)))
        vnf = changes[-1].after
        found += [announcement(change, LINKS) for change in changes]
    return [each for each in found if each is not None]


def states(story: Story) -> list[str]:
    short = {"VnfIdentifierCreationNotification": "Creation", "VnfIdentifierDeletionNotification": "Deletion"}
    return [each.full.get("operationState", short.get(each.kind, "?")) for each in announced(story)]


def done(story: Story) -> Story:
    while story.operation.current is not None:
        story.do(confirmed)
    return story


def failed(vnf: Vnf | None) -> ReportStep:
    step, attempt, op_id = present(vnf)
    return ReportStep(op_id, step, attempt, "FAILED", error={"title": "no", "status": 500, "detail": "no room"})


def handle(how: Any) -> Any:
    def command(vnf: Vnf | None) -> Handle:
        assert vnf is not None
        assert vnf.operation is not None
        return Handle(vnf.operation.id, how)

    return command


def failed_temp() -> Story:
    story = told(create(), instantiate()).until("create-stack", confirmed)
    story.do(failed)
    return story


FAILING = ["Creation", "STARTING", "PROCESSING", "FAILED_TEMP"]


def test_life() -> None:
    story = done(told(create(), instantiate()))
    story.do(terminate())
    done(story).do(DeleteVnf())
    operation = ["STARTING", "PROCESSING", "COMPLETED"]
    assert states(story) == ["Creation", *operation, *operation, "Deletion"]
    created, started = announced(story)[:2]
    assert created.short == created.full
    assert created.full == {
        "notificationType": "VnfIdentifierCreationNotification", "timeStamp": "2026-01-01T00:00:01.000Z",
        "vnfInstanceId": VNF_ID, "_links": {"vnfInstance": {"href": f"http://forestay/vnflcm/v2/vnf_instances/{VNF_ID}"}},
    }  # fmt: skip
    assert started.full["_links"]["vnfLcmOpOcc"]["href"].endswith(f"/vnf_lcm_op_occs/{started.full['vnfLcmOpOccId']}")


@pytest.mark.parametrize(
    ("how", "end"), [("retry", ["PROCESSING", "COMPLETED"]), ("rollback", ["ROLLING_BACK", "ROLLED_BACK"]), ("fail", ["FAILED"])]
)  # fmt: skip
def test_failures(how: str, end: list[str]) -> None:
    story = failed_temp()
    story.do(handle(how))
    assert states(done(story)) == FAILING + end
    by_state = {each.full.get("operationState"): each for each in announced(story)}
    for state in {"FAILED_TEMP", "ROLLED_BACK", "FAILED"} & by_state.keys():
        assert by_state[state].full["error"]["detail"] == "no room"
        assert by_state[state].short["error"] == by_state[state].full["error"]
    for state in {"PROCESSING", "ROLLING_BACK", "COMPLETED"} & by_state.keys():
        assert "error" not in by_state[state].full


def test_refused_grant() -> None:
    story = told(create(), instantiate(), failed)
    assert states(story) == ["Creation", "STARTING", "ROLLED_BACK"]


def test_changes_are_told_with_results_in_full_only() -> None:
    *before, completed = announced(done(told(create(), instantiate())))
    assert [vnfc["changeType"] for vnfc in completed.full["affectedVnfcs"]] == ["ADDED"]
    assert not any("affectedVnfcs" in each.full for each in before)
    assert "affectedVnfcs" not in completed.short
    assert (completed.full["verbosity"], completed.short["verbosity"]) == ("FULL", "SHORT")


def test_a_vip_that_is_new_is_told() -> None:
    story = told(create(), instantiate()).until("read-back", confirmed)
    info = INFO | {"vipCpInfo": [{"cpInstanceId": "vip-1", "cpdId": "VIP1", "associatedVnfcCpIds": ["CP1-server-1"]}]}
    story.do(lambda vnf: confirmed(vnf, instantiated_vnf_info=info))
    completed = announced(story)[-1]
    assert completed.full["affectedVipCps"] == [{"cpInstanceId": "vip-1", "cpdId": "VIP1", "changeType": "ADDED"}]
    assert "affectedVipCps" not in completed.short


def test_names_for_ever() -> None:
    """The same log announces the same notifications, each under a name of its own."""
    story = done(told(create(), instantiate()))
    events = [each.event for each in announced(story)]
    assert events == [each.event for each in announced(story)]
    assert len(set(events)) == len(events)


def test_no_secret_is_told() -> None:
    story = failed_temp()
    story.happen(OperationFailed(op_id=story.operation.id))
    for each in announced(story):
        assert "sealed:" not in str(each.full)
        assert "password" not in str(each.full).lower()
    leak = {"detail": "http://nfv:devstack@keystone/ said sealed:1.abc", "accessInfo": {"password": "devstack"}}
    story = told(create(), instantiate()).until("create-stack", confirmed)
    step, attempt, op_id = present(story.state)
    story.do(ReportStep(op_id, step, attempt, "FAILED", error=leak | {"status": 500, "note": "sealed:1.abc"}))
    assert states(story)[-1] == "FAILED_TEMP"
    assert "devstack" not in str(announced(story)[-1].full)
    assert announced(story)[-1].full["error"]["note"] == "***"


def test_facts_of_an_instance_without_a_name() -> None:
    nameless, named = (announced(told(command))[0].facts for command in (create(), create(vnfInstanceName="edge")))
    assert nameless["vnfInstanceNames"] == ()
    assert named["vnfInstanceNames"] == ("edge",)

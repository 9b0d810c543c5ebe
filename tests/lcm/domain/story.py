"""One VNF instance, told from command to command without any store: its events go through JSON as the log keeps them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from forestay_events.aggregate import Context, Origin
from forestay_events.commit import Commit
from forestay_events.errors import Rejected
from forestay_lcm.domain.commands import VnfCommand
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.events import VnfEvent
from forestay_lcm.domain.state import Operation, Vnf

from tests.lcm.samples import PROJECT

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
VNF_ID = "5d3b0a5c-9a0b-4a55-8d3c-0f7f5f3a1c11"


class Story:
    """The life of a VNF instance. Each commit is a second later than the one before."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.state: Vnf | None = None

    @property
    def vnf(self) -> Vnf:
        assert self.state is not None
        return self.state

    @property
    def operation(self) -> Operation:
        assert self.vnf.operation is not None
        return self.vnf.operation

    def context(self, command_id: str = "", project: str = PROJECT) -> Context:
        version = len(self.commits) + 1
        return Context(
            EPOCH + timedelta(seconds=version), Origin(command_id or f"command-{version}", project, actor="tester")
        )

    def decide(self, command: VnfCommand, *, project: str = PROJECT, command_id: str = "") -> list[VnfEvent]:
        """What the command would lead to."""
        return list(VNF.decide(self.state, command, self.context(command_id, project)).events)

    def do(self, command: VnfCommand | Callable[[Vnf | None], VnfCommand]) -> list[VnfEvent]:
        """Execute a command, or the one that a function of the state gives; returns its events."""
        if callable(command):
            command = command(self.state)
        events = self.decide(command)
        if events:
            self.happen(*events)
        return events

    def happen(self, *events: VnfEvent) -> None:
        """Fold events, whoever decided them."""
        version = len(self.commits) + 1
        commit = Commit(
            id=str(version), stream="LCM", kind="vnf", aggregate_id=VNF_ID, version=version,
            at=EPOCH + timedelta(seconds=version), project=PROJECT, actor="tester", reason="", events=VNF.codec.encode(events),
        )  # fmt: skip
        self.state = VNF.fold(self.state, commit)
        self.commits.append(commit)

    def until(self, step: str, confirm: Callable[[Vnf | None], VnfCommand]) -> Story:
        """Confirm steps until ``step`` is the present one."""
        while (current := self.operation.current) is not None and current.step.name != step:
            self.do(confirm)
        return self


def told(*commands: VnfCommand | Callable[[Vnf | None], VnfCommand]) -> Story:
    """A story of these commands."""
    story = Story()
    for command in commands:
        story.do(command)
    return story


def refusal(story: Story, command: VnfCommand | Callable[[Vnf | None], VnfCommand], **origin: str) -> Rejected:
    """With what a command is refused."""
    if callable(command):
        command = command(story.state)
    with pytest.raises(Rejected) as caught:
        story.decide(command, **origin)
    return caught.value


def kinds(events: list[VnfEvent]) -> list[str]:
    return [type(event).__name__ for event in events]

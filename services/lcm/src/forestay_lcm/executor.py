"""The port of those who do steps: the engine's own, and an adapter per kind of VIM."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from forestay_lcm.domain.state import Operation, StepRun, Vnf


@dataclass(frozen=True)
class Confirmed:
    """The step is done; ``result`` (JSON) names what it made or found."""

    result: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """The step did not do what it should, and trying again by itself will not help."""

    title: str
    status: int
    detail: str
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    def problem(self) -> dict[str, Any]:
        """As ProblemDetails (RFC 9457), ``extra`` among its members."""
        return {"title": self.title, "status": self.status, "detail": self.detail, **self.extra}


@dataclass(frozen=True)
class Again:
    """Not done yet: look again in ``delay`` seconds; ``note`` says what is awaited."""

    delay: float
    note: str = ""


Outcome = Confirmed | Failed | Again


_BACK_OFF = (0.3, 0.6, 1.0, 2.0, 4.0, 8.0)


def pause(waited: float) -> float:
    """Seconds until the next try of a step that was begun ``waited`` seconds ago: the longer it takes already, the longer."""
    at = int(max(waited, 0.0))  # the clocks of two processes differ
    return _BACK_OFF[min(at, len(_BACK_OFF) - 1)]


class Superseded(Exception):
    """The step is not the present one any more: somebody else has done it while this process slept.

    :ivar operation: the VNF instance's latest operation as it is now, ``None`` when the instance was deleted.
    """

    def __init__(self, operation: Operation | None) -> None:
        super().__init__("superseded")
        self.operation = operation


Fence = Callable[[], Awaitable[None]]
"""Looks into the log whether the step is still the present one, :class:`Superseded` if not.

To be asked between finding something and deleting it: what was found before is then no work of a later operation. And
after making something: a VIM knows no fence, so what was made too late has to be taken away again."""


async def unfenced() -> None:
    """The fence of somebody who cleans up behind himself."""


class Turn(Protocol):
    """A worker's turn at a step: the fence, and a way to note what must not be forgotten before the step is done."""

    async def __call__(self) -> None:
        """The fence."""
        ...

    async def note(self, result: dict[str, Any]) -> None:
        """Have the log keep this as what is known of the step by now; whoever comes next finds it in ``run.result``.

        :raises Superseded: the step is not the present one any more, or another worker has noted something before.
        """
        ...


class Executor(Protocol):
    """Does the steps of one kind."""

    async def run(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        """Do a step, or look how it goes on. Looks before it acts: it may have been begun by somebody else.

        :raises Retryable: a passing fault; nothing was done.
        :raises UnknownOutcome: the call may have acted.
        :raises Permanent: it cannot work.
        :raises Superseded: passed on from the turn.
        """
        ...

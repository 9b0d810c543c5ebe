"""A VIM in memory behind the port of executors: it keeps its stacks by unique name, and fails as it is told.

Steps of scripts come here too: a script leaves nothing, and may run twice.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.executor import Again, Confirmed, Executor, Failed, Outcome, Turn

from tests.lcm.samples import observed, snapshot_content

CHANGES = {
    "update-vnfc": "update", "update-stack": "update",
    "restore-stack": "restore", "operate-servers": "operate", "revert-snapshot": "revert",
}  # fmt: skip
"""Steps that change a stack, and how the journal calls it."""


@dataclass
class Stack:
    """What was made.

    :ivar maker: the operation, the step and the attempt that made or changed it last.
    :ivar info: the ``instantiatedVnfInfo`` that is to be read from it.
    :ivar marked: something in it is marked unhealthy.
    """

    id: str
    maker: tuple[str, str, int]
    info: dict[str, Any]
    marked: bool = False


@dataclass
class Pause:
    """Stops a handler where it stands, as SIGSTOP would stop its process."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> None:
        self.reached.set()
        await self.go_on.wait()


Trouble = Callable[[], Awaitable[None]]


def raising(error: Exception) -> Trouble:
    async def trouble() -> None:
        raise error

    return trouble


@dataclass
class Hitch:
    """What goes wrong with one call: before or after it has acted."""

    before: Trouble | None = None
    after: Trouble | None = None
    instead: Outcome | None = None


class ScriptedVim:
    """:class:`~forestay_lcm.executor.Executor` for the steps of the OpenStack plans.

    :ivar stacks: by name; a name can be taken once.
    :ivar snapshots: ids of the VNF snapshots that there are parts of.
    :ivar images: ids of the VNF instances that images were uploaded for.
    :ivar journal: what was really done: ``create <name>``, ``update <name>``, ``delete <name>`` ...
    :ivar calls: the handler's calls, ``<step>/<attempt>``.
    :ivar hitches: by step, or by VNF instance and step (``<id>/<step>``); one for each call, the first comes first.
    """

    def __init__(self, latency: float = 0.0) -> None:
        self.stacks: dict[str, Stack] = {}
        self.snapshots: set[str] = set()
        self.images: set[str] = set()
        self.journal: list[str] = []
        self.calls: list[str] = []
        self.hitches: defaultdict[str, deque[Hitch]] = defaultdict(deque)
        self._latency = latency
        self._numbers = count(1)

    def next(self, step: str, *hitches: Hitch) -> None:
        """The next calls of a step go wrong."""
        self.hitches[step].extend(hitches)

    async def run(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        self.calls.append(f"{run.step.name}/{run.attempt}")
        waiting = self.hitches[f"{vnf.id}/{run.step.name}"] or self.hitches[run.step.name]
        hitch = waiting.popleft() if waiting else Hitch()
        await asyncio.sleep(self._latency)
        if hitch.before is not None:
            await hitch.before()
        outcome = hitch.instead or await self._act(vnf, operation, run, turn)
        if hitch.after is not None:
            await hitch.after()
        return outcome

    async def _act(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        name = f"vnf-{vnf.id}"
        found = self.stacks.get(name)
        maker = (operation.id, run.step.name, run.attempt)
        match run.step.kind:
            case "script" | "user-data" | "coordinate-new" | "coordinate-old":
                return Confirmed({})
            case "upload-images" | "add-images" | "delete-images" | "drop-images":
                return await self._of_images(run.step.kind, vnf.id, turn)
            case "create-stack":
                if found is None:
                    await turn()
                    found = self._create(name, maker, observed(vnf))
                elif found.maker != maker:
                    await turn()
                    self._delete(name)
                    return Again(0.05, "the stack of an earlier try is being deleted")
                return Confirmed({"stack_id": found.id, "stack_name": name})
            case "delete-stack":
                if found is not None:
                    await turn()
                    self._delete(name)
                return Confirmed({})
            case "await-deleted":
                return Confirmed({})
            case "create-snapshot" | "await-snapshot" | "delete-snapshot":
                return await self._of_snapshot(run.step.name, vnf, operation.params["vnfSnapshotInfoId"], turn)
            case step:
                return await self._of_stack(found, step, vnf, maker, turn) if found else _vanished(name)

    async def _of_images(self, step: str, vnf_id: str, turn: Turn) -> Confirmed:
        await turn()
        if step in ("upload-images", "add-images"):
            self.images.add(vnf_id)
            return Confirmed({"images": {"VDU1": "image-1"}})
        if step == "delete-images":
            self.images.discard(vnf_id)
        return Confirmed({"deleted": [], "kept": ["image-1"] if vnf_id in self.images else []})

    async def _of_stack(self, stack: Stack, step: str, vnf: Vnf, maker: tuple[str, str, int], turn: Turn) -> Confirmed:
        """Steps that change a stack that is there, or look at it."""
        if step == "read-back":
            return Confirmed({"instantiated_vnf_info": stack.info})
        if step in ("mark-unhealthy", "unmark-unhealthy"):
            await turn()
            stack.marked = step == "mark-unhealthy"
        if step in CHANGES and (stack.maker != maker or step == "restore-stack"):
            await turn()
            self.journal.append(f"{maker[1].replace(step, CHANGES[step])} vnf-{vnf.id}")
            stack.maker, stack.info, stack.marked = maker, observed(vnf), False
        return Confirmed({})

    async def _of_snapshot(self, step: str, vnf: Vnf, snapshot_id: str, turn: Turn) -> Confirmed:
        made = snapshot_id in self.snapshots
        if step == "create-snapshot" and not made:
            await turn()
            self.journal.append(f"save vnf-{vnf.id}")
            self.snapshots.add(snapshot_id)
        if step == "delete-snapshot" and made:
            await turn()
            self.snapshots.remove(snapshot_id)
        return Confirmed({"vnfcSnapshots": snapshot_content(vnf.id)["vnfcSnapshots"]} if "await" in step else {})

    def _create(self, name: str, maker: tuple[str, str, int], info: dict[str, Any]) -> Stack:
        assert name not in self.stacks, "a name can be taken once"
        self.journal.append(f"create {name}")
        self.stacks[name] = Stack(f"stack-{next(self._numbers)}", maker, info)
        return self.stacks[name]

    def _delete(self, name: str) -> None:
        self.journal.append(f"delete {name}")
        del self.stacks[name]


def _vanished(name: str) -> Failed:
    return Failed("Stack vanished", 422, f"The stack {name} has vanished.")


_: type[Executor] = ScriptedVim

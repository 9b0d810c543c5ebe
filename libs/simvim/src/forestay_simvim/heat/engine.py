"""The engine: starts actions on stacks, one at a time per stack, and ends each in COMPLETE or FAILED.

A new action on a stack takes the place of the one under way: what that is at ends first, but a delete and a
rollback break it off. Nested stacks run inside their parent's action, or alone when they are updated directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat.converge import FORGOTTEN, Walk, perform
from forestay_simvim.heat.model import COMPLETE, FAILED, IN_PROGRESS, MISTAKES, Blueprint, Failure, Resource, Stack
from forestay_simvim.heat.resources.registry import TypeRegistry
from forestay_simvim.heat.scope import StackScope
from forestay_simvim.heat.store import StackStore
from forestay_simvim.hot.dependencies import graph
from forestay_simvim.hot.functions import evaluate
from forestay_simvim.keystone.identity import Token

if TYPE_CHECKING:
    from forestay_simvim.cloud import Cloud

_DEFAULT_TIMEOUT_MINS = 60
_BREAKING_OFF = frozenset({"DELETE", "ROLLBACK"})


class Engine:
    """Heat's engine over one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.faults = cloud.faults
        self.store = StackStore()
        self.types = TypeRegistry(cloud)
        self._actions: dict[str, Callable[[Stack], Coroutine[Any, Any, None]]] = {
            "CREATE": self._converge,
            "UPDATE": self._converge,
            "ROLLBACK": self._roll_back,
            "DELETE": self._delete,
            "CHECK": self._check,
            "SUSPEND": self._each("suspend"),
            "RESUME": self._each("resume"),
        }

    def scope(self, stack: Stack) -> StackScope:
        """What the stack's functions see."""
        return StackScope(stack)

    # --- what the API asks for

    def create(self, stack: Stack) -> None:
        """Validate a new stack, register it and start to make it."""
        self.validate(stack)
        if not self.cloud.may_trust(stack.user):
            raise ServiceError("RemoteError", 500, "Forbidden: Delegated tokens cannot manage trusts. (HTTP 403)")
        self.store.add(stack)
        self.launch(stack, "CREATE", stack.blueprint)

    def update(self, stack: Stack, blueprint: Blueprint) -> None:
        """Validate the new blueprint and start to bring the stack there."""
        trial = Stack(stack.name, stack.user, stack.project, blueprint)
        self.validate(trial)
        # Clients wait for another updated_time, which has only seconds: two quick updates must not look like one.
        stack.updated = max(time.time(), (stack.updated or 0.0) + 1)
        self.launch(stack, "UPDATE", blueprint)

    def validate(self, stack: Stack) -> None:
        """Heat's synchronous validation; raises Heat's 400."""
        scope = self.scope(stack)
        definitions = scope.enabled()
        graph(definitions, stack.blueprint.template.resources)
        for definition in definitions.values():
            type_ = self.types.find(definition.type, stack.blueprint)
            type_.validate(stack, definition, evaluate(definition.properties, scope))

    def launch(self, stack: Stack, action: str, blueprint: Blueprint) -> None:
        """Start an action in the background; the stack is IN_PROGRESS when this returns."""
        run = self._begin(stack, action, blueprint)
        self._preempt(stack)
        if action in _BREAKING_OFF and stack.task is not None:
            stack.task.cancel()

        async def work() -> None:
            with contextlib.suppress(Failure):
                await self._run(stack, action, run)

        # An empty context: what the engine does later is no effect of the request that started it.
        stack.task = asyncio.get_running_loop().create_task(work(), context=contextvars.Context())

    def _preempt(self, stack: Stack) -> None:
        """What nested stacks are at is cancelled, as far as it has not begun."""
        for nested in (each.nested for each in stack.resources.values() if each.nested and each.nested.in_progress):
            nested.run = None
            nested.set_state(nested.action, FAILED, f"Stack {nested.action} cancelled")
            self._preempt(nested)

    def cancel(self, stack: Stack) -> None:
        """Stop a create or an update where it is, without rolling it back."""
        if stack.task:
            stack.task.cancel()
        stack.run = None
        stack.set_state(stack.action, FAILED, f"Stack {stack.action} cancelled")

    def die(self) -> None:
        """Forget all that is under way, as an engine does that is killed: it stays IN_PROGRESS until somebody acts on it."""
        for stack in self.store.by_id.values():
            stack.run = FORGOTTEN
            if stack.task:
                stack.task.cancel()

    # --- nested stacks

    def open_nested(self, parent: Resource, blueprint: Blueprint) -> Stack:
        """Register the nested stack of a resource; nothing of it is made yet."""
        outer = parent.stack
        stack = Stack(
            parent.physical_name, outer.user, outer.project, blueprint, owner=outer, parent_resource=parent.name
        )
        parent.nested, parent.physical_id = stack, stack.id
        self.store.add(stack)
        return stack

    async def run_nested(self, stack: Stack, action: str, blueprint: Blueprint) -> None:
        """Run an action of a nested stack to its end; raises :class:`Failure`. An update names no tags, so it loses them."""
        if stack.task is not None and not stack.task.done():
            await asyncio.wait([stack.task])
        run = self._begin(stack, action, blueprint)
        if action == "UPDATE":
            stack.updated, stack.tags = time.time(), None
        await self._run(stack, action, run)

    # --- one action

    def _begin(self, stack: Stack, action: str, blueprint: Blueprint) -> object:
        if action == "UPDATE":
            stack.previous = stack.blueprint
        stack.blueprint = blueprint
        stack.run = run = object()
        stack.set_state(action, IN_PROGRESS, f"Stack {action} started")
        return run

    async def _run(self, stack: Stack, action: str, run: object) -> None:
        failure: Failure | None = None
        cancelled = Failure(action, None, (), f"Stack {action} cancelled")
        reason = f"Stack {action} completed successfully"
        minutes = stack.timeout_mins or _DEFAULT_TIMEOUT_MINS
        try:
            async with stack.working, asyncio.timeout(self.cloud.config.minute * minutes):
                await asyncio.sleep(self.cloud.settings.build.get("stack", 0.0))
                if stack.run is not run:
                    raise cancelled
                if stack.owner is not None and action in ("CREATE", "UPDATE"):
                    self._validate_nested(stack, action)
                await self._actions[action](stack)
        except TimeoutError:
            failure = Failure(action, None, (), "Timed out")
            reason = "Timed out"
        except Failure as error:
            failure, reason = error, error.stack_reason
        except asyncio.CancelledError:
            if stack.run is run:
                stack.set_state(action, FAILED, f"{action} aborted")
            raise
        if stack.run is not run:
            raise cancelled
        stack.set_state(action, FAILED if failure else COMPLETE, reason)
        if action == "DELETE" and failure is None:
            self.store.bury(stack)
        if failure is None:
            return
        if action in ("CREATE", "UPDATE") and not stack.disable_rollback and stack.owner is None:
            await self._run(stack, "ROLLBACK", self._begin(stack, "ROLLBACK", stack.blueprint))
        raise failure

    def _validate_nested(self, stack: Stack, action: str) -> None:
        try:
            self.validate(stack)
        except ServiceError as error:
            raise Failure(action, error.kind, (), error.message) from None
        except MISTAKES as error:
            raise Failure(action, type(error).__name__, (), str(error)) from None

    async def _converge(self, stack: Stack) -> None:
        await Walk(self, stack).to_blueprint()

    async def _roll_back(self, stack: Stack) -> None:
        stack.blueprint = stack.previous or Blueprint()
        await Walk(self, stack).to_blueprint()

    async def _delete(self, stack: Stack) -> None:
        await Walk(self, stack).to_nothing()

    async def _check(self, stack: Stack) -> None:
        problems: list[str] = []
        for resource in list(stack.resources.values()):
            try:
                await perform(self, resource, "CHECK", self._check_one(resource))
            except Failure as failure:
                problems.append(str(failure))
        if problems:
            raise Failure("CHECK", None, (), "; ".join(f"['{problem}']" for problem in problems))

    async def _check_one(self, resource: Resource) -> None:
        if resource.nested is None:
            resource.type.check(resource)
            return
        try:
            await self.run_nested(resource.nested, "CHECK", resource.nested.blueprint)
        except Failure as failure:
            raise failure.seen_from(resource, "CHECK") from None

    def _each(self, verb: str) -> Callable[[Stack], Coroutine[Any, Any, None]]:
        async def act(stack: Stack) -> None:
            for resource in list(stack.resources.values()):
                await perform(self, resource, verb.upper(), getattr(resource.type, verb)(resource))

        return act


def new_stack(name: str, user: Token, blueprint: Blueprint) -> Stack:
    """A stack of the token's user in the token's project."""
    return Stack(name, user, user.project_id or "", blueprint)

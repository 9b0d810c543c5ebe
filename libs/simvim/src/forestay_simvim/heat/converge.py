"""Brings one stack to a blueprint: everything in it made, changed or replaced, everything else removed.

Create, update, rollback and delete are the same walk with different blueprints (a delete's is empty). Resources are
handled as soon as those they need are done; a replaced one is removed at the end, in the reverse order. A resource of another
type is replaced; a template of another name is none, its nested stack is brought to it. The first failure
stops the walk: what was under way becomes ``<ACTION> aborted``. A walk for which there is another one begins nothing more, but
what it is at ends as it would have: whoever asks Heat again for what it works on changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat.model import COMPLETE, FAILED, IN_PROGRESS, MISTAKES, Failure, Resource, Stack
from forestay_simvim.heat.resources.base import ReplaceNeeded
from forestay_simvim.hot.dependencies import graph
from forestay_simvim.hot.functions import evaluate
from forestay_simvim.hot.template import ResourceDefinition

if TYPE_CHECKING:
    from forestay_simvim.heat.engine import Engine

Work = Callable[[Any], Coroutine[Any, Any, None]]

#: The run of a stack about whose action nobody knows any more.
FORGOTTEN = object()


async def walk(needs: dict[Any, Iterable[Any]], work: Work, go_on: Callable[[], None]) -> None:
    """Run *work* for every node, each after the nodes it needs, in parallel; the first failure ends the walk.

    :param go_on: raises when nothing more is to be begun.
    """
    order = TopologicalSorter(needs)
    order.prepare()
    running: dict[asyncio.Task[None], Any] = {}
    every: list[asyncio.Task[None]] = []
    try:
        while order.is_active():
            try:
                go_on()
            except Failure:
                await asyncio.gather(*running, return_exceptions=True)
                raise
            for node in order.get_ready():
                task = asyncio.ensure_future(work(node))
                running[task] = node
                every.append(task)
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                order.done(running.pop(task))
                task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*every, return_exceptions=True)


async def perform(engine: Engine, resource: Resource, action: str, work: Coroutine[Any, Any, None]) -> None:
    """One action on one resource, with its states, events and injected faults; raises :class:`Failure`."""
    resource.set_state(action, IN_PROGRESS)
    try:
        try:
            await engine.faults.before_resource(resource, action)
        except BaseException:
            work.close()
            raise
        await work
        await engine.faults.after_resource(resource, action)
    except ReplaceNeeded:
        resource.action, resource.status = "UPDATE", COMPLETE
        raise
    except asyncio.CancelledError:
        if resource.stack.run is not FORGOTTEN:
            resource.set_state(action, FAILED, f"{action} aborted")
        raise
    except (ServiceError, Failure, *MISTAKES) as error:
        failure = failed(error, action, resource.name)
        resource.set_state(action, FAILED, str(failure))
        raise failure from None
    resource.set_state(action, COMPLETE)


def failed(error: Exception, action: str, name: str) -> Failure:
    """The failure of an action on the named resource, whatever was raised."""
    if isinstance(error, Failure):
        return error
    told = error.told_by_client() if isinstance(error, ServiceError) else (type(error).__name__, str(error))
    return Failure(action, told[0], ("resources", name), told[1])


class Walk:
    """One convergence of one stack."""

    def __init__(self, engine: Engine, stack: Stack) -> None:
        self.engine = engine
        self.stack = stack
        self.scope = engine.scope(stack)
        self.run = stack.run

    def go_on(self) -> None:
        """Raise :class:`Failure` when there is another action on the stack."""
        if self.stack.run is not self.run:
            raise Failure(self.stack.action, None, (), f"Stack {self.stack.action} cancelled")

    async def to_blueprint(self) -> None:
        """Make, change and replace, then remove what is left over."""
        definitions = self.scope.enabled()
        needs = graph(definitions, self.stack.blueprint.template.resources)

        async def advance(name: str) -> None:
            await self._advance(definitions[name], needs[name])

        await walk(dict(needs), advance, self.go_on)
        await self.remove([*self.stack.leftovers, *self._absent(set(definitions))])

    async def to_nothing(self) -> None:
        """Remove all."""
        await self.remove([*self.stack.leftovers, *self.stack.resources.values()])

    def _absent(self, wanted: set[str]) -> list[Resource]:
        return [each for name, each in self.stack.resources.items() if name not in wanted]

    async def _advance(self, definition: ResourceDefinition, needs: set[str]) -> None:
        old = self.stack.resources.get(definition.name)
        try:
            props = evaluate(definition.properties, self.scope)
        except (ServiceError, *MISTAKES) as error:
            raise failed(error, "UPDATE" if old else "CREATE", definition.name) from None
        if old is None:
            await self._create(definition, needs, props)
            return
        try:
            await self._update(old, definition, needs, props)
        except ReplaceNeeded:
            old.type.prepare_for_replace(old)
            self.stack.leftovers.append(old)
            await self._create(definition, needs, props)

    async def _create(self, definition: ResourceDefinition, needs: set[str], props: dict[str, Any]) -> None:
        type_ = self.engine.types.find(definition.type, self.stack.blueprint)
        resource = Resource(self.stack, definition, type_, needs)
        resource.properties = props
        resource.metadata = evaluate(definition.metadata, self.scope) or {}
        self.stack.resources[definition.name] = resource
        if definition.external_id is not None:
            resource.physical_id = evaluate(definition.external_id, self.scope)
            resource.set_state("CHECK", COMPLETE)
            return
        await perform(self.engine, resource, "CREATE", type_.create(resource, props))

    async def _update(
        self, resource: Resource, definition: ResourceDefinition, needs: set[str], props: dict[str, Any]
    ) -> None:
        type_ = self.engine.types.find(definition.type, self.stack.blueprint)
        if resource.status == IN_PROGRESS:
            resource.set_state(resource.action, FAILED, f"Worker went down during resource {resource.action}")
            if resource.action == "CREATE" and type_.is_usable(resource):
                resource.half_made = True
                reason = "Update status to COMPLETE for FAILED resource neither update nor replace."
                resource.set_state("CREATE", COMPLETE, reason)
        if type(type_) is not type(resource.type) or (resource.status == FAILED and self._is_lost(resource)):
            raise ReplaceNeeded
        resource.type = type_
        before = resource.properties
        changed = {name for name in before.keys() | props.keys() if before.get(name) != props.get(name)}
        resource.needs = needs
        resource.metadata = evaluate(definition.metadata, self.scope) or resource.metadata
        if not changed and not type_.always_updates and resource.status != FAILED:
            resource.definition = definition
            return
        if changed - type_.updatable and not type_.always_updates:
            raise ReplaceNeeded
        await perform(self.engine, resource, "UPDATE", type_.update(resource, props, changed))
        resource.definition, resource.properties = definition, props

    def _is_lost(self, resource: Resource) -> bool:
        """Whether a failed resource has to be made anew rather than changed once more."""
        if resource.nested is not None:
            return False
        if resource.action == "UPDATE" and resource.physical_id is not None:
            try:
                resource.type.check(resource)
            except (ServiceError, Failure):
                return True
            return False
        return True

    async def remove(self, doomed: list[Resource]) -> None:
        """Delete the resources, each after those that needed it."""
        users: dict[Resource, list[Resource]] = {each: [] for each in doomed}
        by_name: dict[str, list[Resource]] = {}
        for each in doomed:
            by_name.setdefault(each.name, []).append(each)
        for each in doomed:
            for name in each.needs:
                for needed in by_name.get(name, ()):
                    if needed is not each:
                        users[needed].append(each)
        await walk(dict(users), self._remove, self.go_on)

    async def _remove(self, resource: Resource) -> None:
        if resource.definition.deletion_policy != "Retain" and resource.definition.external_id is None:
            await perform(self.engine, resource, "DELETE", resource.type.delete(resource))
        else:
            resource.set_state("DELETE", COMPLETE)
        if resource in self.stack.leftovers:
            self.stack.leftovers.remove(resource)
        else:
            self.stack.resources.pop(resource.name, None)

"""The stacks, found by id, by name and by project without a scan. Deleted ones stay findable by id for a while."""

from __future__ import annotations

import time
from collections import deque

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat.model import Stack

_TOMBSTONES = 2000


class StackStore:
    """All stacks of the cloud."""

    def __init__(self) -> None:
        self.by_id: dict[str, Stack] = {}
        self._live: dict[tuple[str, str], Stack] = {}
        self._projects: dict[str, dict[str, Stack]] = {}
        self._buried: deque[Stack] = deque()

    def add(self, stack: Stack) -> None:
        """Register a stack; Heat's 409 when the project has a live one of that name."""
        key = (stack.project, stack.name)
        if key in self._live:
            raise ServiceError("StackExists", 409, f"The Stack ({stack.name}) already exists.")
        self.by_id[stack.id] = stack
        self._live[key] = stack
        self._projects.setdefault(stack.project, {})[stack.id] = stack

    def has(self, project: str, name: str) -> bool:
        """Whether the project has a live stack of that name."""
        return (project, name) in self._live

    def bury(self, stack: Stack) -> None:
        """The stack is deleted: its name is free, only its id still finds it."""
        stack.deleted = time.time()
        self._live.pop((stack.project, stack.name), None)
        self._projects[stack.project].pop(stack.id, None)
        self._buried.append(stack)
        if len(self._buried) > _TOMBSTONES:
            self.by_id.pop(self._buried.popleft().id, None)

    def lookup(self, project: str, key: str) -> Stack:
        """The live stack of that name, or any stack with that id; Heat's 404."""
        stack = self._live.get((project, key)) or self.by_id.get(key)
        if stack is None or stack.project != project:
            raise ServiceError("EntityNotFound", 404, f"The Stack ({key}) could not be found.")
        return stack

    def get(self, project: str, name: str, stack_id: str) -> Stack:
        """The stack with this name and id."""
        stack = self.by_id.get(stack_id)
        if stack is None or stack.project != project or stack.name != name:
            raise ServiceError("EntityNotFound", 404, f"The Stack ({name}) could not be found.")
        return stack

    def count(self, project: str) -> int:
        """How many live stacks the project has, nested ones included."""
        return len(self._projects.get(project, ()))

    def listing(self, project: str | None, *, nested: bool = False, deleted: bool = False) -> list[Stack]:
        """The stacks of a project (``None``: of all), the newest first."""
        chosen = self._projects.values() if project is None else [self._projects.get(project, {})]
        found = [stack for each in chosen for stack in each.values() if nested or stack.owner is None]
        if deleted:
            found += [each for each in self._buried if project in (None, each.project) and (nested or not each.owner)]
        return sorted(found, key=lambda stack: stack.created, reverse=True)

"""Members of OS::Heat::AutoScalingGroup: which of them goes when a group shrinks.

Heat removes the unhealthy members first, then the oldest. So a member that shall go (because the grant names it, or because
it is left over) is marked unhealthy before its group shrinks. One that an operation has added which is rolled back is taken out
of the group's own stack: Heat may be at work on it, or a killed engine have it locked, and then it cannot be marked. So is the
last of a group: Heat takes an update's desired capacity of 0 for as many as there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import NamedTuple

from forestay_sol.resource_types import GROUP, SERVER

from forestay_lcm.adapters.openstack.clients.heat import StackResource


class _Member(NamedTuple):
    """A member of a group with its servers: itself, or those of the stack that it is. ``group``: the group's stack."""

    resource: StackResource
    servers: Sequence[StackResource]
    group: str

    def has(self, servers: Container[str]) -> bool:
        return any(item.physical_id in servers for item in self.servers)


def members_with(resources: Sequence[StackResource], servers: Container[str]) -> list[StackResource]:
    """The members of groups in which one of these servers lives."""
    return [member.resource for member in _members(resources) if member.has(servers)]


def group_stacks(resources: Sequence[StackResource]) -> list[str]:
    """The stacks that groups have their members in, as :attr:`StackResource.stack`."""
    return sorted({member.resource.stack for member in _members(resources)})


def last_members(
    resources: Sequence[StackResource], known: Mapping[str, str], counts: Mapping[str, int]
) -> list[StackResource]:
    """The members of groups that are to have none.

    :param known: the VDU of each server that the log has.
    :param counts: how many instances there are to be of each VDU.
    """
    members = list(_members(resources))
    vdus: dict[str, set[str]] = {}
    for member in members:
        vdus.setdefault(member.group, set()).update(known.get(each.physical_id, each.name) for each in member.servers)
    empty = {group for group, held in vdus.items() if held and all(counts.get(vdu) == 0 for vdu in held)}
    return [member.resource for member in members if member.group in empty]


def surplus(resources: Sequence[StackResource], known: Mapping[str, str]) -> Iterator[StackResource]:
    """Of the members in which no known server lives those that are too many, the newest. One that has taken the place of a
    known server, which is gone, is not too many.

    :param known: the VDU of each server that the log has.
    """
    there = {item.physical_id for item in resources}
    lost = Counter(vdu for server, vdu in known.items() if server not in there)
    members = sorted(_members(resources), key=lambda member: member.resource.creation_time, reverse=True)
    for group in {member.group for member in members}:
        ours = [member for member in members if member.group == group]
        vdus = {server.name for member in ours for server in member.servers} & set(known.values())
        # Servers that are members themselves have no name of a VDU: any that is lost may have been theirs.
        replaced = max((lost[vdu] for vdu in vdus), default=lost.total())
        strange = [member.resource for member in ours if not member.has(known)]
        yield from strange[: max(0, len(strange) - replaced)]


def _members(resources: Sequence[StackResource]) -> Iterator[_Member]:
    groups = {item.physical_id for item in resources if item.type == GROUP and item.physical_id}
    for member in resources:
        if (group := _stack_id(member)) in groups:
            inside = (item for item in resources if item is member or _stack_id(item) == member.physical_id)
            yield _Member(member, [item for item in inside if item.type == SERVER], group)


def _stack_id(resource: StackResource) -> str:
    return resource.stack.rpartition("/")[2]

"""Members of OS::Heat::AutoScalingGroup: which of them goes when a group shrinks.

Heat removes the unhealthy members first, then the oldest. So a member that shall go (because the grant names it, or because
it was not there before) is marked unhealthy before its group shrinks; nothing else decides who leaves.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from forestay_lcm.adapters.openstack.heat import StackResource

GROUP, SERVER = "OS::Heat::AutoScalingGroup", "OS::Nova::Server"


def members_with(resources: Sequence[StackResource], servers: Container[str]) -> list[StackResource]:
    """The members of groups in which one of these servers lives."""
    return [member for member, inside in _members(resources) if any(server in servers for server in inside)]


def newcomers(resources: Sequence[StackResource], servers: Container[str]) -> list[StackResource]:
    """The members of groups in which none of these servers lives."""
    return [member for member, inside in _members(resources) if not any(server in servers for server in inside)]


def _members(resources: Sequence[StackResource]) -> Iterable[tuple[StackResource, list[str]]]:
    """Each member with its servers: itself, or those of the stack that it is."""
    groups = {item.physical_id for item in resources if item.type == GROUP and item.physical_id}
    for member in resources:
        if _stack_id(member) in groups:
            yield (
                member,
                [
                    item.physical_id
                    for item in resources
                    if item.type == SERVER and (item is member or _stack_id(item) == member.physical_id)
                ],
            )


def _stack_id(resource: StackResource) -> str:
    return resource.stack.rpartition("/")[2]

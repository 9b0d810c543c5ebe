"""Keeping what the VNF's stack is made of: before its package says by itself what is to change of it, or before it is deleted
to be made anew."""

from __future__ import annotations

import msgspec
from forestay_events.errors import Permanent

from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.hidden import HIDDEN, KEPT, hidden_values
from forestay_lcm.adapters.openstack.job import Job, existing
from forestay_lcm.adapters.openstack.steps.stack import is_left, is_of_operation, is_sent, vnf_stack
from forestay_lcm.domain.decisions.requested import USER_DATA
from forestay_lcm.executor import Confirmed, Failed, Outcome

_LIMIT = 512 << 10
"""Bytes that the log takes of it."""


async def keep_stack(cloud: Cloud, job: Job) -> Outcome:
    """The result is the :class:`Blueprint` of the stack, its hidden parameters apart; secrets are sealed by the executor. It is
    empty if the stack has vanished, or if what the log knows draws it again, and it is large, or is as an operation has left it
    that was given up."""
    try:
        stack = await vnf_stack(cloud, job)
    except Permanent as error:
        # Who needs the stack itself says so; who makes it anew draws it from what the log knows.
        return Confirmed({}) if error.status == 404 else Failed(error.title or "", error.status, str(error))
    restored = is_sent(stack, job, "restore-stack") and stack.status == "COMPLETE"
    if is_of_operation(stack, job) and not restored:
        return Failed("Stack is changed", 409, f"Stack {stack.path} was changed before it could be kept.")
    of_class = USER_DATA[0] in (existing(job).metadata or {})
    if is_left(stack, job) and not of_class:
        return Confirmed({})
    made_of = await cloud.heat.made_of(stack)
    hidden = hidden_values(made_of.parameters, job.before, {})
    shown = {name: value for name, value in made_of.parameters.items() if name not in hidden}
    if lost := [name for name, value in shown.items() if value == HIDDEN]:
        return Failed(
            "Stack parameter is hidden",
            422,
            f"Heat hides what the parameter {', '.join(lost)} of stack {stack.path} is, and Forestay has not given it: "
            "it could not be given back.",
        )
    # As text, because what is in it has no secret, whatever its name is.
    template = msgspec.json.encode(made_of.template).decode()
    kept = {"template": template, "parameters": shown, "files": made_of.files, KEPT: hidden}
    if (size := len(msgspec.json.encode(kept))) <= _LIMIT:
        return Confirmed(kept)
    if not hidden and not of_class:
        return Confirmed({})
    return Failed(
        "Stack is too large", 422, f"What stack {stack.path} is made of has {size} bytes, more than {_LIMIT}."
    )

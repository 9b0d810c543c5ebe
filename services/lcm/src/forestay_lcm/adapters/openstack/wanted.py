"""What a VNF's stack is made of before and after an operation: as its package's user data says, or as Forestay draws it.

A user data class (wire section 8.4) says what is to change of what the stack is made of. Only Heat knows what that is when a
class has made it, so ``keep-stack`` keeps it before anything is changed: for the merge, and to bring the stack back to it; or
to make it anew as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from forestay_lcm.adapters.openstack.blueprint import (
    Blueprint,
    Change,
    blueprint_after,
    blueprint_before,
    change_to,
    own_blueprint,
    parsed_text,
    replaces_template,
)
from forestay_lcm.adapters.openstack.job import Job, existing, ordered
from forestay_lcm.domain.merge_patch import merge_patch

_USER_DATA = "user-data"
_KEPT = "keep-stack"


def stack_after(job: Job) -> Blueprint:
    """What the stack is to be made of after the operation. :raises Permanent: 422, the template is none."""
    order, given = ordered(job), job.results.get(_USER_DATA)
    if given is None:
        return stack_before(job) if job.results.get(_KEPT) else blueprint_after(order, job.before)
    own = own_blueprint(order.flavour)
    if not job.results.get(_KEPT):
        return _customised(own, given)
    kept = stack_before(job)
    base = msgspec.structs.replace(own, parameters=kept.parameters) if replaces_template(order) else kept
    return _customised(base, given)


def stack_before(job: Job) -> Blueprint:
    """What the stack was made of before the operation. :raises Permanent: 422, the template is none."""
    if kept := job.results.get(_KEPT):
        return msgspec.convert(kept, Blueprint)
    return blueprint_before(ordered(job), existing(job))


def change_of(job: Job, wanted: Blueprint, present: Blueprint) -> Change:
    """The change that leads from one to the other, forward or back."""
    if _USER_DATA in job.results:
        return Change(fields=msgspec.to_builtins(wanted), existing=False)
    return change_to(wanted, present, ordered(job))


def _customised(base: Blueprint, given: Mapping[str, Any]) -> Blueprint:
    """A text is a whole template; objects are merge patches of template and parameters; files are added."""
    template = given.get("template") or {}
    if not isinstance(template, str):
        merged = merge_patch(parsed_text(base.template), template)
        template = base.template if not template else yaml.safe_dump(merged, sort_keys=False)
    return Blueprint(
        template=template,
        parameters=merge_patch(base.parameters, given.get("parameters") or {}),
        files=base.files | (given.get("files") or {}),
    )

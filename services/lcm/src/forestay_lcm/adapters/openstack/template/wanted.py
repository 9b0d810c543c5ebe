"""What a VNF's stack is made of before and after an operation: as its package's user data says, or as Forestay draws it.

A user data class (wire section 8.4) says what is to change of what the stack is made of. Only Heat knows what that is when a
class has made it, so ``keep-stack`` keeps it before anything is changed: for the merge, and to bring the stack back to it; or
to make it anew as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import msgspec
from forestay_events.errors import Permanent
from forestay_sol.vnflcm import LcmOperation

from forestay_lcm.adapters.openstack.hidden import KEPT as HIDDEN_KEPT
from forestay_lcm.adapters.openstack.job import Job, existing, ordered
from forestay_lcm.adapters.openstack.template.blueprint import (
    Blueprint,
    Change,
    blueprint_after,
    blueprint_before,
    change_to,
    counts_after,
    own_blueprint,
)
from forestay_lcm.adapters.openstack.template.connectivity import managed_by_others, managed_of
from forestay_lcm.adapters.openstack.template.group_sizes import sized
from forestay_lcm.adapters.openstack.template.hot import Json
from forestay_lcm.adapters.openstack.template.parsing import checked, loaded, parsed_text, unusable
from forestay_lcm.domain.decisions.requested import HIDDEN_PARAMETERS, USER_DATA
from forestay_lcm.domain.merge_patch import merge_patch

_SAID = "user-data"
_SAID_OF_ROLLBACK = "user-data-rollback"
_KEPT = "keep-stack"
"""Steps whose results say what the stack is made of."""

_GIVEN = "The template that the user data gave"

_SAYING = frozenset({"template", "parameters", "files"})
"""The members by which a class says what a stack is made of; without any, it has no say."""

_OF_NEW_TEMPLATE = frozenset({"INSTANTIATE", "CHANGE_FLAVOUR"})
"""Operations whose template has nothing to do with what the stack is made of: text that a class gives is all of it."""

_SIZING = frozenset({"INSTANTIATE", "SCALE", "SCALE_TO_LEVEL", "CHANGE_FLAVOUR"})
"""Operations that lead to a number of VNFCs, which was granted."""

_SIZED = _SIZING | {"CHANGE_VNFPKG"}
"""Operations whose template may say another number: that of a new package knows nothing of how the VNF was scaled."""


def stack_after(job: Job) -> Blueprint:
    """What the stack is to be made of after the operation. :raises Permanent: 422, the template is none."""
    order, given = ordered(job), job.results.get(_SAID)
    if given is None:
        return stack_before(job) if job.results.get(_KEPT) else blueprint_after(order, job.before)
    base = _BASES.get(order.operation, stack_before)(job)
    said = _customised(base, given, whole=order.operation in _OF_NEW_TEMPLATE)
    return _sized(said, counts_after(order, job.before)) if order.operation in _SIZED else said


def stack_before(job: Job) -> Blueprint:
    """What the stack was made of before the operation. :raises Permanent: 422, the template is none."""
    if kept := job.results.get(_KEPT):
        was = msgspec.convert({**kept, "template": parsed_text(kept["template"])}, Blueprint)
        return msgspec.structs.replace(was, parameters=was.parameters | (kept.get(HIDDEN_KEPT) or {}))
    return blueprint_before(ordered(job), existing(job))


def stack_restored(job: Job) -> Blueprint:
    """What a rollback brings the stack to: what it was, with what the user data class says of the way back.

    What the class does not speak of is as before, whatever the operation has made of it; and all is, if it gives a template
    that is none.

    :raises Permanent: 422, the template before was none.
    """
    was, given = stack_before(job), job.results.get(_SAID_OF_ROLLBACK) or {}
    with suppress(Permanent):
        return _customised(was, given) if given.keys() & _SAYING else was
    return was


def change_of(job: Job, wanted: Blueprint, present: Blueprint, *, whole: bool = False) -> Change:
    """The change that leads from one to the other, forward or back.

    :param whole: the stack is not known to be made of ``present``.
    """
    if _SAID in job.results:
        return Change(fields=msgspec.to_builtins(wanted), existing=False)
    change, of_class = change_to(wanted, present, ordered(job)), USER_DATA[0] in (existing(job).metadata or {})
    if change.existing and of_class and ordered(job).operation not in _SIZING:
        # What a class has made is not what the package's template says: of that, only the parameters can be changed.
        return Change(fields={"parameters": wanted.parameters}, existing=True)
    if whole and not of_class:
        return Change(fields=msgspec.to_builtins(wanted), existing=False)
    return change


def _own(job: Job) -> Blueprint:
    order = ordered(job)
    return own_blueprint(order.flavour, managed_by_others(order, job.before))


def _of_new_flavour(job: Job) -> Blueprint:
    return msgspec.structs.replace(_own(job), parameters=stack_before(job).parameters)


def _of_new_package(job: Job) -> Blueprint:
    """A template that a class has made stays until it says another; the old package's gives way to the new one's."""
    own, was = _own(job), stack_before(job)
    template = own.template if _is_shipped(job, was) else was.template
    return Blueprint(template=template, parameters=was.parameters, files=was.files | own.files)


def _is_shipped(job: Job, was: Blueprint) -> bool:
    """Whether a template is that of the package before the operation, filled in or not."""
    order, before = ordered(job), existing(job)
    old = own_blueprint(order.old_flavour or order.flavour, managed_of(before))
    return _substance(was) in map(_substance, (old, blueprint_before(order, before)))


_BASES: Mapping[LcmOperation, Callable[[Job], Blueprint]] = {
    "INSTANTIATE": _own,
    "CHANGE_FLAVOUR": _of_new_flavour,
    "CHANGE_VNFPKG": _of_new_package,
}
"""What a user data class changes; of other operations, what there was before."""


def _customised(base: Blueprint, given: Mapping[str, Any], *, whole: bool = False) -> Blueprint:
    """Template and parameters are merge patches, files are added; with ``existing: False`` what is given is all there is.

    :param whole: a template as text is all of it.
    """
    whole = whole and isinstance(given.get("template"), str)
    template = _said(given.get("template"))
    parameters: dict[str, Any] = (given.get("parameters") or {}) | (given.get(HIDDEN_PARAMETERS) or {})
    files: dict[str, str] = given.get("files") or {}
    if given.get("existing") is False:
        return Blueprint(template=checked(template or base.template, _GIVEN), parameters=parameters, files=files)
    return Blueprint(
        template=checked(template if template and whole else merge_patch(base.template, template), _GIVEN),
        parameters=merge_patch(base.parameters, parameters),
        files=base.files | files,
    )


def _said(template: Any) -> Json:
    """The template that a class has given, whole or in part."""
    said = loaded(template, _GIVEN) if isinstance(template, str) and template else template or {}
    if not isinstance(said, dict):
        raise unusable(f"{_GIVEN} is no map.")
    return cast("Json", said)


def _sized(blueprint: Blueprint, counts: Mapping[str, int]) -> Blueprint:
    return msgspec.structs.replace(blueprint, template=sized(blueprint.template, blueprint.files, counts))


def _substance(blueprint: Blueprint) -> Any:
    """What a template takes and what it makes."""
    return blueprint.template.get("parameters"), blueprint.template["resources"]

"""Plans: which steps an operation takes on which kind of VIM. Tables, not code.

A step is one call to the outside with a probe (its handler looks before it acts) and, where it makes something, the steps
that undo it. ``timeout`` is the time in seconds after which a step that still waits or cannot reach the VIM has failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from forestay_events.errors import Rejected
from forestay_sol.vnflcm import LcmOperation

#: Executor of the steps that need no VIM: grants and waiting.
ENGINE = "engine"

#: Executor by VimConnectionInfo.vimType.
DRIVERS = {"ETSINFV.OPENSTACK_KEYSTONE.V_3": "openstack"}


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step as it stands in the plan of an operation.

    :ivar undo: names of the steps that compensate it, in the order in which they run.
    :ivar retry_from: the step at which a retry continues when this one failed; itself when ``None``.
    :ivar final: once it is intended, the operation cannot be rolled back any more.
    """

    name: str
    executor: str
    timeout: float
    undo: tuple[str, ...] = ()
    retry_from: str | None = None
    final: bool = False


class _Kind(NamedTuple):
    executor: str
    timeout: float
    undo: tuple[str, ...] = ()
    retry_from: str | None = None
    final: bool = False


#: A wait that ends by itself, however long the requester wants it.
_NEVER = 1e12

_HALF_HOUR = 25 * 60.0

STEPS: dict[str, _Kind] = {
    "grant": _Kind(ENGINE, 300),
    "graceful-wait": _Kind(ENGINE, _NEVER),
    "create-stack": _Kind("openstack", 600, undo=("delete-stack", "await-deleted")),
    "await-stack": _Kind("openstack", _HALF_HOUR, retry_from="create-stack"),
    "read-back": _Kind("openstack", 600),
    "delete-stack": _Kind("openstack", 600, final=True),
    "await-deleted": _Kind("openstack", _HALF_HOUR, retry_from="delete-stack"),
    "mark-unhealthy": _Kind("openstack", 600, undo=("unmark-unhealthy",)),
    "unmark-unhealthy": _Kind("openstack", 600),
    "update-stack": _Kind("openstack", 600, undo=("restore-stack", "await-restored", "read-back")),
    "await-update": _Kind("openstack", _HALF_HOUR, retry_from="update-stack"),
    "restore-stack": _Kind("openstack", 600),
    "await-restored": _Kind("openstack", _HALF_HOUR, retry_from="restore-stack"),
    "operate-servers": _Kind("openstack", 600, undo=("read-back",)),
    "await-servers": _Kind("openstack", _HALF_HOUR, retry_from="operate-servers"),
}

_UPDATE = ("update-stack", "await-update", "read-back")

PLANS: dict[tuple[str, LcmOperation], tuple[str, ...]] = {
    ("openstack", "INSTANTIATE"): ("grant", "create-stack", "await-stack", "read-back"),
    ("openstack", "TERMINATE"): ("grant", "graceful-wait", "delete-stack", "await-deleted"),
    ("openstack", "SCALE"): ("grant", *_UPDATE),
    ("openstack", "SCALE_TO_LEVEL"): ("grant", *_UPDATE),
    ("openstack", "HEAL"): ("grant", "mark-unhealthy", *_UPDATE),
    ("openstack", "CHANGE_EXT_CONN"): ("grant", *_UPDATE),
    ("openstack", "CHANGE_FLAVOUR"): ("grant", *_UPDATE),
    ("openstack", "OPERATE"): ("grant", "graceful-wait", "operate-servers", "await-servers", "read-back"),
}


def driver_of(vim_type: str) -> str:
    """The executor for a type of VIM.

    :raises Rejected: 422, no driver serves this type.
    """
    try:
        return DRIVERS[vim_type]
    except KeyError:
        known = ", ".join(sorted(DRIVERS))
        raise Rejected(
            422, f"vimType '{vim_type}' has no driver; known are: {known}.", pointer="/vimConnectionInfo"
        ) from None


def steps(names: Iterable[str]) -> tuple[Step, ...]:
    return tuple(Step(name=name, **STEPS[name]._asdict()) for name in names)


def plan(driver: str, operation: LcmOperation, *, without: frozenset[str] = frozenset()) -> tuple[Step, ...]:
    """The steps of an operation on a driver.

    :raises Rejected: 422, the driver cannot do this operation.
    """
    try:
        names = PLANS[driver, operation]
    except KeyError:
        raise Rejected(422, f"The {driver} driver has no {operation}.") from None
    return steps(name for name in names if name not in without)


def compensations(done: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that undo ``done`` steps, last first."""
    return steps(name for step in reversed(list(done)) for name in step.undo)

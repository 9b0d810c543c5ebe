"""Plans: which steps an operation takes on which kind of VIM. Tables, not code.

A step is one call to the outside with a probe (its handler looks before it acts) and, where it makes something, the steps
that undo it. ``timeout`` is the time in seconds after which a step that still waits or cannot reach the VIM has failed.

A step's name is its kind, with an argument behind a colon where there are several of a kind (``update-vnfc:2``). In the tables
``*`` stands for the numbers 0, 1, 2... and ``{}`` for the argument of the step itself. Scripts of the package (``script:<hook>``)
stand around what the VIM does; the plans do not name them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import msgspec
from forestay_events.errors import Rejected
from forestay_sol.vnflcm import LcmOperation

#: Executor of the steps that need no VIM: grants, waiting, VNF snapshots' own log.
ENGINE = "engine"

#: Executor of the steps that run code of the package.
SCRIPTS = "scripts"

#: Executor by VimConnectionInfo.vimType.
DRIVERS = {"ETSINFV.OPENSTACK_KEYSTONE.V_3": "openstack"}


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step as it stands in the plan of an operation.

    :ivar undo: names of the steps that compensate it, in the order in which they run.
    :ivar retry_from: the step at which a retry continues when this one failed; itself when ``None``.
    :ivar final: once it is intended, the operation cannot be rolled back any more.
    :ivar optional: when it fails, the operation goes on without it: its work is done already. It is behind the scripts.
    """

    name: str
    executor: str
    timeout: float
    undo: tuple[str, ...] = ()
    retry_from: str | None = None
    final: bool = False
    optional: bool = False

    @property
    def kind(self) -> str:
        """The name without its argument."""
        return kind_of(self.name)

    @property
    def argument(self) -> str:
        """What stands behind the colon of the name."""
        return self.name.partition(":")[2]


class _Kind(NamedTuple):
    executor: str
    timeout: float
    undo: tuple[str, ...] = ()
    retry_from: str | None = None
    final: bool = False
    optional: bool = False


#: A wait that ends by itself, however long the requester wants it.
_NEVER = 1e12

_HALF_HOUR = 25 * 60.0

#: How long a script of the package may wait for a free sandbox and take; what it may take itself is a setting.
_SCRIPT = 2 * 3600.0

_RESTORED = ("user-data-rollback", "restore-stack", "await-restored", "read-back")

STEPS: dict[str, _Kind] = {
    "grant": _Kind(ENGINE, 600),
    "script": _Kind(SCRIPTS, _SCRIPT),
    "user-data": _Kind(SCRIPTS, _SCRIPT),
    "user-data-rollback": _Kind(SCRIPTS, _SCRIPT),
    "graceful-wait": _Kind(ENGINE, _NEVER),
    "upload-images": _Kind("openstack", 3600, undo=("delete-images",)),
    "add-images": _Kind("openstack", 3600, undo=("drop-images",)),
    "delete-images": _Kind("openstack", 600),
    "drop-images": _Kind("openstack", 120, final=True, optional=True),
    "create-stack": _Kind("openstack", 600, undo=("delete-stack", "await-deleted")),
    "await-stack": _Kind("openstack", _HALF_HOUR, retry_from="create-stack"),
    "read-back": _Kind("openstack", 600),
    "delete-stack": _Kind("openstack", 600, final=True),
    "await-deleted": _Kind("openstack", _HALF_HOUR, retry_from="delete-stack"),
    "mark-unhealthy": _Kind("openstack", 600, undo=("unmark-unhealthy",)),
    "unmark-unhealthy": _Kind("openstack", 600),
    "keep-stack": _Kind("openstack", 600),
    "update-stack": _Kind("openstack", 600, undo=_RESTORED),
    "await-update": _Kind("openstack", _HALF_HOUR, retry_from="update-stack"),
    "update-vnfc": _Kind("openstack", 600, undo=(*_RESTORED, "coordinate-old:{}")),
    "await-vnfc": _Kind("openstack", _HALF_HOUR, retry_from="update-vnfc:{}"),
    "coordinate-new": _Kind(SCRIPTS, _SCRIPT),
    "coordinate-old": _Kind(SCRIPTS, _SCRIPT),
    "restore-stack": _Kind("openstack", 600),
    "await-restored": _Kind("openstack", _HALF_HOUR, retry_from="restore-stack"),
    "operate-servers": _Kind("openstack", 600, undo=("restore-servers", "await-restored-servers", "read-back")),
    "await-servers": _Kind("openstack", _HALF_HOUR, retry_from="operate-servers"),
    "restore-servers": _Kind("openstack", 600),
    "await-restored-servers": _Kind("openstack", _HALF_HOUR, retry_from="restore-servers"),
    "claim-snapshot": _Kind(ENGINE, 600, undo=("release-snapshot",)),
    "create-snapshot": _Kind("openstack", 600, undo=("delete-snapshot",)),
    "await-snapshot": _Kind("openstack", 3600, retry_from="create-snapshot"),
    "revert-snapshot": _Kind("openstack", 3600, final=True),
    "delete-snapshot": _Kind("openstack", 3600),
    "fill-snapshot": _Kind(ENGINE, 600),
    "release-snapshot": _Kind(ENGINE, 600),
}

_CREATE = ("create-stack", "await-stack", "read-back")
_DELETE = ("delete-stack", "await-deleted")
_UPDATE = ("keep-stack", "user-data", "update-stack", "await-update", "read-back")
_EACH_VNFC = ("update-vnfc:*", "await-vnfc:*", "coordinate-new:*")

#: HEAL that makes the VNF's stack anew (wire section 3.8).
RECREATE = "HEAL:all"

#: By driver, and by operation or a variant of one. Each begins with the grant: nothing is touched before.
PLANS: dict[tuple[str, str], tuple[str, ...]] = {
    ("openstack", "INSTANTIATE"): ("grant", "upload-images", "user-data", *_CREATE),
    ("openstack", "TERMINATE"): ("grant", "graceful-wait", *_DELETE, "delete-images"),
    ("openstack", "SCALE"): ("grant", "add-images", *_UPDATE),
    ("openstack", "SCALE_TO_LEVEL"): ("grant", "add-images", *_UPDATE),
    ("openstack", "HEAL"): ("grant", "add-images", "mark-unhealthy", *_UPDATE),
    ("openstack", RECREATE): ("grant", "add-images", "keep-stack", "user-data", *_DELETE, *_CREATE),
    ("openstack", "CHANGE_EXT_CONN"): ("grant", *_UPDATE),
    ("openstack", "CHANGE_FLAVOUR"): ("grant", "add-images", *_UPDATE, "drop-images"),
    ("openstack", "CHANGE_VNFPKG"): (
        "grant",
        "add-images",
        "keep-stack",
        "user-data",
        *_EACH_VNFC,
        *_UPDATE[2:],
        "drop-images",
    ),
    ("openstack", "OPERATE"): ("grant", "graceful-wait", "operate-servers", "await-servers", "read-back"),
    ("openstack", "CREATE_SNAPSHOT"): ("grant", "claim-snapshot", "create-snapshot", "await-snapshot", "fill-snapshot"),
    ("openstack", "REVERT_TO_SNAPSHOT"): (
        "grant",
        "claim-snapshot",
        "revert-snapshot",
        "read-back",
        "release-snapshot",
    ),
}

#: Interface operations of the VNFD's ``Vnflcm`` (SOL001 clause 6.7; Tacker's names, wire section 12).
HOOKS: dict[LcmOperation, str] = {
    "INSTANTIATE": "instantiate",
    "TERMINATE": "terminate",
    "SCALE": "scale",
    "SCALE_TO_LEVEL": "scale_to_level",
    "HEAL": "heal",
    "CHANGE_EXT_CONN": "change_external_connectivity",
    "CHANGE_FLAVOUR": "change_flavour",
    "CHANGE_VNFPKG": "change_current_package",
    "OPERATE": "operate",
    "MODIFY_INFO": "modify_information",
    "CREATE_SNAPSHOT": "create_snapshot",
    "REVERT_TO_SNAPSHOT": "revert_to_snapshot",
}

ROLLBACK_HOOKS = ("_rollback_start", "_rollback_end")
"""How the hooks around a rollback end: those of the package that the VNF has again then."""


def kind_of(step: str) -> str:
    """The kind of a step, by its name."""
    return step.partition(":")[0]


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


def steps(names: Iterable[str], *, without: Collection[str] = ()) -> tuple[Step, ...]:
    """Steps by name, none of the kinds ``without``, neither to do nor to undo."""

    def step(name: str) -> Step:
        kind, argument = STEPS[kind_of(name)], name.partition(":")[2]
        undo = tuple(each.format(argument) for each in kind.undo if kind_of(each) not in without)
        retry_from = kind.retry_from and kind.retry_from.format(argument)
        return Step(name=name, **kind._replace(undo=undo, retry_from=retry_from)._asdict())

    return tuple(step(name) for name in names if kind_of(name) not in without)


def plan(
    driver: str,
    operation: str,
    *,
    without: Collection[str] = (),
    hooks: Collection[str] = (),
    hook: str = "",
    count: int = 0,
) -> tuple[Step, ...]:
    """The steps of an operation on a driver.

    :param operation: or a variant of one.
    :param without: kinds of steps that the operation does not need this time.
    :param hooks: the hooks for which the package has a script.
    :param hook: the hook of the operation, without ``_start`` and ``_end``.
    :param count: how many steps a ``*`` stands for.
    :raises Rejected: 422, the driver cannot do this operation.
    """
    try:
        names = PLANS[driver, operation]
    except KeyError:
        raise Rejected(422, f"The {driver} driver has no {operation}.") from None
    granted, acting = ((names[0],), names[1:]) if names[0] == "grant" else ((), names)
    at = next((at for at, name in enumerate(acting) if STEPS[kind_of(name)].optional), len(acting))
    return steps([*granted, *around(_numbered(acting[:at], count), hook, hooks), *acting[at:]], without=without)


def around(names: Iterable[str], hook: str, hooks: Collection[str]) -> Iterator[str]:
    """The names of steps with the scripts around them that the package has."""
    start, end = f"{hook}_start", f"{hook}_end"
    yield from (f"script:{start}",) if start in hooks else ()
    yield from names
    yield from (f"script:{end}",) if end in hooks else ()


def _numbered(names: Iterable[str], count: int) -> Iterator[str]:
    for starred, group in groupby(names, key=lambda name: name.endswith(":*")):
        block = tuple(group)
        yield from (f"{name[:-1]}{at}" for at in range(count) for name in block) if starred else block


def compensations(done: Iterable[Step]) -> Iterator[str]:
    """The names of the steps that undo ``done`` steps, last first; what several of them call for is done once."""
    return iter(dict.fromkeys(name for step in reversed(list(done)) for name in step.undo))

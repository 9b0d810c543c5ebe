"""How version 1 refuses what version 2 refuses: other statuses, titles that Tacker's clients look for, its own pointers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from forestay_events.errors import Rejected


class Words(NamedTuple):
    """What is different in version 1; ``None``: nothing. A title may name ``type`` of the body, ``operation`` in the way."""

    status: int | None = None
    title: str | None = None


_OF_OP_OCCS = ("show_op_occ", "retry", "rollback", "fail", "cancel")

#: By task, status of version 2, and what is at fault: a member of the body, the state of an operation, or neither (``""``);
#: ``*`` is anything.
_WORDS: Mapping[tuple[str, int, str], Words] = {
    ("create", 422, "*"): Words(status=404),
    ("modify", 422, "*"): Words(status=400),
    ("modify", 404, "vimConnectionInfo"): Words(status=400),
    ("instantiate", 404, "vimConnectionInfo"): Words(status=400),
    ("change_ext_conn", 404, "vimConnectionInfo"): Words(status=400),
    ("scale", 400, "aspectId"): Words(title="aspectId not in ScaleStatus"),
    ("scale", 400, "numberOfSteps"): Words(title="can not {type}"),
    ("change_ext_conn", 409, ""): Words(title="VNF is not instantiated"),
    ("scale", 409, "*"): Words(title="VNF IS NOT ACTIVE"),
    ("rollback", 409, "FAILED_TEMP"): Words(title="{operation} CAN NOT ROLLBACK"),
    ("rollback", 409, "*"): Words(title="OperationState IS NOT FAILED_TEMP"),
    ("subscribe", 422, "*"): Words(status=400, title="Failed to Test Notification"),
    **{(task, 404, "*"): Words(title="VnfLcmOpOcc NOT FOUND") for task in _OF_OP_OCCS},
}

_CP_CONFIG = re.compile(r"(?<=/cpConfig/)[^/]+")
_CONNECTION = re.compile(r"^/vimConnectionInfo/.*")


def refused_in_v1(task: str, error: Rejected, body: Any = None) -> Rejected:
    """The refusal of a task as version 1 says it.

    :param body: of the request, as it came.
    """
    operation: dict[str, str] = error.extra.get("lcmOpOcc", {})
    member = "" if not error.pointer else error.pointer.split("/")[1]
    words = _WORDS.get((task, error.status, member or operation.get("operationState", "")))
    words = words or _WORDS.get((task, error.status, "*")) or Words()
    type_ = body.get("type") if isinstance(body, dict) else ""  # pyright: ignore[reportUnknownMemberType]
    named = {"type": str(type_).lower(), "operation": operation.get("operation", "")}
    return Rejected(
        words.status or error.status,
        error.detail,
        pointer=None if error.pointer is None else _pointer(error.pointer),
        title=words.title.format(**named) if words.title else error.title,
        type_=error.type,
        extra=error.extra,
        headers=error.headers,
    )


def _pointer(pointer: str) -> str:
    """Where version 2 has a key, version 1 has a place in a list."""
    return _CONNECTION.sub("/vimConnectionInfo", _CP_CONFIG.sub("0", pointer))

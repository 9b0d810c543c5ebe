"""What a caller of the sandbox says and gets: plain data, and the one error.

The calling conventions are those of Tacker (wire sections 8.4, 8.5, 12): a package's script finds the arguments that it
would find there. Everything that crosses the border is JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
from forestay_events.errors import Permanent

Kind = Literal["lcm-hook", "user-data", "coordination"]

_TITLES: dict[Kind, str] = {
    "lcm-hook": "Mgmt driver execution failed",
    "user-data": "Userdata execution failed",
    "coordination": "Coordinate VNF execution failed",
}


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A package whose files a script gets: the blob's digest, and the CSAR as a local file (``BlobStore.path``)."""

    digest: str
    csar: Path


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a script may use. Seconds; bytes; ``memory`` holds for each process and for all of them together."""

    seconds: float = 60.0
    cpu_seconds: int = 60
    memory: int = 512 << 20
    processes: int = 64
    open_files: int = 256
    output: int = 16 << 20


class ScriptCall(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a script.

    :param package: holds the script and becomes the argument ``tmp_csar_dir``.
    :param script: the script's path from the CSAR's root.
    :param arguments: what the script gets; for user data by name: req, inst, grant_req, grant.
    :param class_name: user data only, with ``method``.
    :param new_package: becomes ``new_csar_dir`` (hook modify_information_end after a change of vnfdId).
    :param network: ``None`` is the kind's default: user data computes and has none, the others configure VNFs.
    """

    package: Package
    kind: Kind
    script: str
    arguments: dict[str, Any]
    class_name: str | None = None
    method: str | None = None
    new_package: Package | None = None
    limits: Limits = Limits()
    network: bool | None = None

    @property
    def has_network(self) -> bool:
        return self.kind != "user-data" if self.network is None else self.network


class ScriptResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a script gave: ``value`` is what it wrote as a pickle, ``{}`` for nothing; ``left`` counts ended processes."""

    value: dict[str, Any]
    errors: str = ""
    left: int = 0


class ScriptFailed(Permanent):
    """A script failed or hit a limit: 422, titled as Tacker does.

    :param reason: how it ended, a sentence.
    :param errors: the end of its standard error, without secrets.
    :param value: what it wrote nevertheless (``user_script_err_handling_data`` for the retry).
    """

    def __init__(self, call: ScriptCall, reason: str, errors: str = "", value: dict[str, Any] | None = None) -> None:
        name = f"{call.script} ({call.class_name}.{call.method})" if call.class_name else call.script
        detail = f"{name}: {reason}" + (f"\n{errors.strip()}" if errors.strip() else "")
        super().__init__(detail, status=422, title=_TITLES[call.kind])
        self.value = value or {}

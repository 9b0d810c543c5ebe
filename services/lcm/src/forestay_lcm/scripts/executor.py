"""The scripts of packages as an executor of steps: hooks around an operation, user data, coordination.

A script may run again when its outcome was lost, as any step: a worker that dies does not say how far its script came. One whose
step is not the present one any more (a FORCEFUL cancellation) is ended. What scripts give is sealed for the log where it is named
like a secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from os import getpid
from pathlib import PurePosixPath
from socket import gethostname
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import urlsplit

import msgspec
from forestay_events.errors import Permanent, Unavailable
from forestay_events.platform import Platform
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, VnfcResourceInfo

from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain.connection_points import address_of
from forestay_lcm.domain.decisions.requested import HIDDEN_PARAMETERS, USER_DATA
from forestay_lcm.domain.grants.operations import flavour_after, vnfd_after
from forestay_lcm.domain.plan import ROLLBACK_HOOKS
from forestay_lcm.domain.script_metadata import ERROR_DATA, WRITTEN, written
from forestay_lcm.domain.seen import seen_last
from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.domain.vdu_params import COORDINATION, vdu_params, vnfcs_in_turn
from forestay_lcm.executor import Confirmed, Failed, Outcome, Turn
from forestay_lcm.projections.representation import without_secrets
from forestay_lcm.sandbox.calls import Kind, Limits, Package, ScriptCall, ScriptFailed
from forestay_lcm.sandbox.runner import ScriptRunner
from forestay_lcm.scripts.arguments import coordination_arguments, hook_arguments, info_at, user_data_arguments
from forestay_lcm.scripts.settings import ScriptSettings

Json = dict[str, Any]

PYTHON = "tosca.artifacts.Implementation.Python"

_RESULT_LIMIT = 256 << 10
"""Bytes of what the log keeps of a script's result."""

_LOOK = 1.0
"""Seconds between two looks whether a script that runs is still wanted."""

_ERROR = "error"
"""Where what is kept of a script that failed is sealed, as if it were the result of a step."""

_NOT_USED = "not_used"
"""Member of a result: why a rollback does without what the class says."""

_SIZING = frozenset({"SCALE", "SCALE_TO_LEVEL"})
"""Operations whose rollback is, for classes written for Tacker, one of VNFCs that came: it rolls back no scaling in."""


class _Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a user data class says of the stack; what else it gives is not kept."""

    template: dict[str, Any] | str | None = None
    parameters: dict[str, Any] | None = None
    files: dict[str, str] | None = None
    existing: bool | None = None


class ScriptSteps:
    """:class:`~forestay_lcm.executor.Executor` for code of packages. Use it as ``async with``."""

    def __init__(
        self, platform: Platform, catalogue: Catalogue, settings: ScriptSettings, runner: ScriptRunner
    ) -> None:
        self._blobs = platform.blobs
        self._endpoint = platform.config.endpoint
        self._catalogue = catalogue
        self._runner = runner
        self._limits = Limits(seconds=settings.script_seconds, memory=settings.script_memory)

    async def __aenter__(self) -> Self:
        await self._runner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.__aexit__(kind, error, trace)

    async def run(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        secrets = self._catalogue.secrets_of(vnf.id)
        opened = msgspec.structs.replace(
            await secrets.open_operation(operation),
            error=(await secrets.open_results({_ERROR: operation.error or {}}))[_ERROR],
        )
        await turn()
        outcome = await _while_wanted(asyncio.ensure_future(_STEPS[run.step.kind](self, vnf, opened, run)), turn)
        if isinstance(outcome, Failed):
            kept = await secrets.seal_result(_ERROR, outcome.extra)
            return replace(outcome, extra=kept if _size(kept) <= _RESULT_LIMIT else {})
        if not isinstance(outcome, Confirmed):
            return outcome
        sealed = await secrets.seal_result(run.step.name, outcome.result)
        if _size(sealed) > _RESULT_LIMIT:
            return Failed("Script result is too large", 422, f"{run.step.name} gave more than {_RESULT_LIMIT} bytes.")
        return Confirmed(sealed)

    async def hook(self, vnf: Vnf, operation: Operation, run: StepRun) -> Outcome:
        """A script of the VNFD's interface ``Vnflcm``."""
        hook = run.step.argument
        of_present = operation.operation == "MODIFY_INFO" or hook.endswith(ROLLBACK_HOOKS)
        vnfd_id = vnf.vnfd_id if of_present else vnfd_after(vnf, operation)
        script = (await self._flavour(vnf, operation, vnfd_id)).lcm_scripts[hook]
        if script.type != PYTHON:
            return Failed("Mgmt driver execution failed", 422, f"Unsupported script type {script.type}")
        connections = {
            key: msgspec.to_builtins(await self._catalogue.open_connection(vnf.project, vnf.id, key, info))
            for key, info in vnf.vim_connections.items()
        }
        arguments = hook_arguments(vnf, operation, hook, connections, self._endpoint)
        coming = await self._package(vnf, vnfd_after(vnf, operation)) if hook == "modify_information_end" else None
        present = await self._package(vnf, vnfd_id)
        call = self._call(
            "lcm-hook", present, script.path, arguments, new_package=None if coming == present else coming
        )
        try:
            value = (await self._runner.run(call)).value
        except ScriptFailed as error:
            kept = error.value.get("user_script_err_handling_data")
            detail = f"{hook} failed: {error}"
            return Failed(error.title or "", error.status, detail, {ERROR_DATA: kept} if kept else {})
        info, returned = info_at(vnf, operation), value.get("vnf_instance")
        if info is None or not isinstance(returned, Mapping):
            return Confirmed({})
        # Neither got it secrets, nor are any kept of it: those in the metadata are the driver's, sealed where they stand.
        seen = msgspec.convert(without_secrets(msgspec.to_builtins(info)), InstantiatedVnfInfo)
        change = without_secrets(written(seen, cast("Mapping[str, Any]", returned).get("instantiatedVnfInfo")))
        return Confirmed({WRITTEN: change} if change else {})

    async def user_data(self, vnf: Vnf, operation: Operation, run: StepRun) -> Outcome:
        """The class that the request names: what it says of the stack."""
        package = await self._package(vnf, vnfd_after(vnf, operation))
        return Confirmed(await self._said(vnf, operation, package, operation.operation.lower()))

    async def user_data_rollback(self, vnf: Vnf, operation: Operation, run: StepRun) -> Outcome:
        """What the class says of the way back, that of the package which the VNF has again then.

        A class that has nothing to say does not stop a rollback: the stack is brought back to what was kept of it.
        """
        asked: Json = operation.results.get("grant", {}).get("grant_request") or {}
        if operation.operation in _SIZING and asked.get("removeResources"):
            return Confirmed({_NOT_USED: "Classes know the way back of VNFCs that came, not of those that went."})
        try:
            package = await self._package(vnf, vnf.vnfd_id)
            return Confirmed(await self._said(vnf, operation, package, f"{operation.operation.lower()}_rollback"))
        except ScriptFailed as error:
            return Confirmed({_NOT_USED: str(error)})

    async def _said(self, vnf: Vnf, operation: Operation, package: Package, method: str) -> Json:
        """:raises ScriptFailed: the class fails, or what it gives is of another shape than that of a stack."""
        name, class_name = (operation.params["additionalParams"][key] for key in USER_DATA)
        arguments = user_data_arguments(vnf, operation, self._endpoint)
        script = str(PurePosixPath(name))
        call = self._call("user-data", package, script, arguments, class_name=class_name, method=method)
        value = (await self._runner.run(call)).value
        try:
            said: Json = msgspec.to_builtins(msgspec.convert(value, _Said))
        except msgspec.ValidationError as error:
            raise ScriptFailed(call, f"What it returned cannot be used: {error}.") from error
        parameters: Json = said.get("parameters") or {}
        # A template may hide any of them; nfv is what everybody may see.
        if others := {name: value for name, value in parameters.items() if name != "nfv"}:
            open_to_all = {name: value for name, value in parameters.items() if name == "nfv"}
            said |= {"parameters": open_to_all, HIDDEN_PARAMETERS: others}
        return said

    async def coordinate(self, vnf: Vnf, operation: Operation, run: StepRun) -> Outcome:
        """The script that prepares a VNFC, or the rest of the VNF for it, when it is updated or taken back."""
        kind, number = run.step.kind, int(run.step.argument)
        params: Json = operation.params["additionalParams"]
        info = vnf.instantiated_vnf_info
        if info is None:
            raise Permanent(f"Step {run.step.name} needs a VNF that is instantiated.")
        chosen = vdu_params(params, info)
        vnfc = vnfcs_in_turn(chosen, info)[number]
        item = next(item for item in chosen if item.vdu_id == vnfc.vdu_id)
        param = (item.new_vnfc_param if kind == "coordinate-new" else item.old_vnfc_param) or {}
        address = _address(operation, info, vnfc, param["cp_name"], number if kind == "coordinate-new" else None)
        if address is None:
            return Failed(
                "Ssh ip not found", 404, f"VNFC {vnfc.id} has no address at connection point {param['cp_name']}."
            )
        script, coming = params[COORDINATION[kind]], vnfd_after(vnf, operation)
        where = (coming,) if kind == "coordinate-new" else (vnf.vnfd_id, coming)
        holder = await self._catalogue.holder(vnf.project, where, script)
        call = self._call(
            "coordination",
            await self._package(vnf, holder or coming),
            str(PurePosixPath(script)),
            coordination_arguments(vnf, operation, vnfc, param, address=address, endpoint=self._endpoint),
        )
        await self._runner.run(call)
        return Confirmed({})

    def _call(self, kind: Kind, package: Package, script: str, arguments: Json, **members: Any) -> ScriptCall:
        return ScriptCall(
            package=package, kind=kind, script=script, arguments=arguments, limits=self._limits, **members
        )

    async def _flavour(self, vnf: Vnf, operation: Operation, vnfd_id: str) -> Flavour:
        vnfd = await self._catalogue.vnfd(vnf.project, vnfd_id)
        return vnfd.flavour(flavour_after(vnf, operation))

    async def _package(self, vnf: Vnf, vnfd_id: str) -> Package:
        digest = await self._catalogue.package(vnf.project, vnfd_id)
        return Package(digest=digest, csar=await self._blobs.path(digest))


def _address(
    operation: Operation, info: InstantiatedVnfInfo, vnfc: VnfcResourceInfo, cpd_id: str, updated: int | None
) -> str | None:
    """Where a script reaches a VNFC: as it is after its update, or as it is, or was, once it is taken back.

    :param info: before the operation.
    :param updated: the number of its update; ``None``: it is taken back.
    """
    if updated is not None:
        seen: Json = operation.results.get(f"await-vnfc:{updated}", {}).get("cp_addresses", {})
        return seen.get(cpd_id) or address_of(info, vnfc, cpd_id)
    now = seen_last((run.result for run in operation.rollback if run.status == "CONFIRMED"), info) or info
    there = (address_of(now, item, cpd_id) for item in now.vnfc_resource_info if item.id == vnfc.id)
    return next(there, None) or address_of(info, vnfc, cpd_id)


async def _while_wanted(script: asyncio.Future[Outcome], turn: Turn) -> Outcome:
    """What comes of a script, which is ended when its step is not the present one any more.

    :raises Superseded: from the turn.
    """
    try:
        while not (await asyncio.wait({script}, timeout=_LOOK))[0]:
            with suppress(Unavailable):  # whether it is wanted is not known: it goes on
                await turn()
        return script.result()
    finally:
        if script.cancel():
            await asyncio.wait({script})


def _size(members: Mapping[str, Any]) -> int:
    return len(msgspec.json.encode(members))


_STEPS: Mapping[str, Callable[[ScriptSteps, Vnf, Operation, StepRun], Awaitable[Outcome]]] = {
    "script": ScriptSteps.hook,
    "user-data": ScriptSteps.user_data,
    "user-data-rollback": ScriptSteps.user_data_rollback,
    "coordinate-new": ScriptSteps.coordinate,
    "coordinate-old": ScriptSteps.coordinate,
}


def runner_of(platform: Platform, settings: ScriptSettings) -> ScriptRunner:
    """Sandboxes for one process. Our own servers and API are closed to scripts."""
    config = platform.config
    own = (urlsplit(url).port for url in (config.nats_url, config.database_url, config.endpoint))
    return ScriptRunner(
        config.data_dir / "scripts" / f"{gethostname()}-{getpid()}",
        warm=settings.script_warm,
        concurrency=settings.script_concurrency,
        python=settings.script_python,
        closed_ports={*settings.script_closed_ports, *(port for port in own if port), config.listen_port} - {0},
    )

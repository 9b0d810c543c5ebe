"""The secrets in what the log keeps of an operation: sealed in parameters and results, opened only for a driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from forestay_events.sealing import Vault

from forestay_lcm.domain.state import Operation, StepRun

Json = dict[str, Any]

#: Where the requester's own parameters stand in a request.
PARAMS = "/additionalParams"

#: Where those stand that an NFVO gives with a grant.
_GRANTED = "/grant/additionalParams"

#: The step whose result repeats parts of the request and holds the grant, sealed as they are there.
_GRANT = "grant"


@dataclass(frozen=True)
class Secrets:
    """Seals and opens what belongs to one VNF instance."""

    vault: Vault
    vnf_id: str

    async def seal_params(self, additional: Mapping[str, Any]) -> Json:
        """``additionalParams`` with every secret member sealed."""
        return await self.vault.seal_members(self.vnf_id, additional, path=PARAMS)

    async def open_params(self, params: Json) -> Json:
        """Operation parameters with the secrets of their ``additionalParams`` in the clear."""
        additional = params.get("additionalParams")
        if not additional:
            return params
        opened = await self.vault.open_members(self.vnf_id, additional, path=PARAMS)
        return params | {"additionalParams": opened}

    async def seal_granted(self, additional: Mapping[str, Any]) -> Json:
        """What an NFVO gives with its grant (``additionalParams``) with every secret member sealed."""
        return await self.vault.seal_members(self.vnf_id, additional, path=_GRANTED)

    async def open_operation(self, operation: Operation) -> Operation:
        """An operation with what the requester and the NFVO have given (``additionalParams``) in the clear.

        Other results of steps stay sealed (:meth:`open_results`), and so do VIM connections: the catalogue opens them.
        """
        plan = [await self._open_grant(run) if run.step.name == _GRANT else run for run in operation.plan]
        return msgspec.structs.replace(operation, params=await self.open_params(operation.params), plan=tuple(plan))

    async def _open_grant(self, run: StepRun) -> StepRun:
        result = dict(run.result)
        for member, path in (("grant_request", PARAMS), ("grant", _GRANTED)):
            if additional := result.get(member, {}).get("additionalParams"):
                opened = await self.vault.open_members(self.vnf_id, additional, path=path)
                result[member] = result[member] | {"additionalParams": opened}
        return msgspec.structs.replace(run, result=result)

    async def seal_result(self, step: str, result: Mapping[str, Any]) -> Json:
        """What a step found or made (a stack's parameters among it), for the log."""
        return await self.vault.seal_members(self.vnf_id, result, path=f"/results/{step}")

    async def open_results(self, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Json]:
        """Results by step, with the secrets in the clear that :meth:`seal_result` sealed."""
        return {
            step: dict(result)
            if step == _GRANT
            else await self.vault.open_members(self.vnf_id, result, path=f"/results/{step}")
            for step, result in results.items()
        }

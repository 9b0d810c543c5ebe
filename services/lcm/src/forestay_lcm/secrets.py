"""The secrets in what the log keeps of an operation: sealed in parameters and results, opened only for a driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forestay_events.sealing import Vault

Json = dict[str, Any]

#: Where the requester's own parameters stand in a request.
PARAMS = "/additionalParams"

#: Steps whose results repeat parts of the request, sealed as they are there.
_SEALED_ELSEWHERE = frozenset({"grant"})


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

    async def seal_result(self, step: str, result: Mapping[str, Any]) -> Json:
        """What a step found or made (a stack's parameters among it), for the log."""
        return await self.vault.seal_members(self.vnf_id, result, path=f"/results/{step}")

    async def open_results(self, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Json]:
        """Results by step, with the secrets in the clear that :meth:`seal_result` sealed."""
        return {
            step: dict(result)
            if step in _SEALED_ELSEWHERE
            else await self.vault.open_members(self.vnf_id, result, path=f"/results/{step}")
            for step, result in results.items()
        }

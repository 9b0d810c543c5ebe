"""What of a request is secret, sealed before it becomes part of a command and so of the log."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from forestay_events.sealing import Vault
from forestay_lcm.secrets import Secrets

T = TypeVar("T", bound=msgspec.Struct)


async def sealed(vault: Vault, vnf_id: str, request: T) -> T:
    """The request with every secret member of its ``additionalParams`` sealed for the VNF instance.

    Connections to VIMs are sealed where they are chosen (:mod:`forestay_lcm.api.connections`).
    """
    params: dict[str, Any] | None = getattr(request, "additional_params", None)
    if not params:
        return request
    return msgspec.structs.replace(request, additional_params=await Secrets(vault, vnf_id).seal_params(params))

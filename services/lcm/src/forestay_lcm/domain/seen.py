"""The state of a VNF as the steps of an operation have found it, with what scripts have written into its metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from forestay_lcm.domain.script_metadata import with_written
from forestay_lcm.domain.state import Operation, Vnf
from forestay_sol.vnflcm import InstantiatedVnfInfo

_INFO = "instantiated_vnf_info"
"""Member of a step's result: the state of the VNF as that step found it."""


def seen_last(results: Iterable[Mapping[str, Any]], before: InstantiatedVnfInfo | None) -> InstantiatedVnfInfo | None:
    """
    :param results: of the steps that are done, in their order.
    :param before: what there was before the operation, for one whose steps did not look.
    """
    done = list(results)
    seen = [result[_INFO] for result in done if _INFO in result]
    info = msgspec.convert(seen[-1], InstantiatedVnfInfo) if seen else before
    return with_written(info, done) if info else None


def servers_of(vnf: Vnf, operation: Operation) -> tuple[str, ...]:
    """The ids of the servers that a VNF has, as an operation or its rollback has seen last."""
    seen = seen_last((run.result for run in (*operation.plan, *operation.rollback)), vnf.instantiated_vnf_info)
    return tuple(vnfc.compute_resource.resource_id for vnfc in (seen.vnfc_resource_info if seen else ()))

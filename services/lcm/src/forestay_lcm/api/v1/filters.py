"""Attribute filters of version 1, said of the documents of version 2. Pure.

An attribute that the resource does not have is 400 in version 1, other than in version 2.
"""

from __future__ import annotations

from functools import partial

import msgspec
from forestay_events.errors import Rejected
from forestay_lcm.api.v1.resources import VnfInstanceV1, VnfLcmOpOccV1
from forestay_lcm.api.v1.shapes import VIM_TYPES
from forestay_sol import filters
from forestay_sol.filters import ANY_MEMBER, Comparison, Filter, Operand

_CONNECTIONS = "vimConnectionInfo"
_NOT_STORED = frozenset({"_links", "vnfPkgId"})


def _parse(type_: type[msgspec.Struct], text: str) -> Filter:
    """:raises Rejected: 400, the filter is not valid, or names what cannot be filtered by."""
    names = {field.encode_name for field in msgspec.structs.fields(type_)} - _NOT_STORED
    parsed = filters.parse(text)
    for comparison in parsed:
        if comparison.path and comparison.path[0] not in names:
            detail = f"'{comparison.path[0]}' cannot be filtered by, only {', '.join(sorted(names))}."
            raise Rejected(400, f"Attribute filter expression is invalid: {detail}")
    return tuple(map(_in_v2, parsed))


def _in_v2(comparison: Comparison) -> Comparison:
    """VIM connections are a map by id in version 2."""
    match comparison.path:
        case ("vimConnectionInfo", "id"):
            return msgspec.structs.replace(comparison, path=(_CONNECTIONS,), of_keys=True)
        case ("vimConnectionInfo", *below):
            operands = comparison.operands
            if below == ["vimType"]:
                operands = tuple(Operand.read(VIM_TYPES.get(each.text, each.text)) for each in operands)
            path = (_CONNECTIONS, ANY_MEMBER, *below)
            return msgspec.structs.replace(comparison, path=path, operands=operands)
        case _:
            return comparison


parse_for_instances = partial(_parse, VnfInstanceV1)
parse_for_op_occs = partial(_parse, VnfLcmOpOccV1)

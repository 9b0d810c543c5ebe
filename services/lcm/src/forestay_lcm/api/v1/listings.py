"""Lists of version 1: as those of version 2, but for paths in links, ``all_records``, and what may be selected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from forestay_events.errors import Rejected
from forestay_lcm.api.v1.filters import parse_for_instances, parse_for_op_occs
from forestay_lcm.api.v2 import VNF_INSTANCES, VNF_LCM_OP_OCCS
from forestay_sol.paging import Paging, v1_link
from forestay_sol.parameters import FILTER, LIST, PAGE, Query

_ALL_RECORDS = Query(name="all_records", description="`yes`: all entries in one page (of Tacker).")
_PAGING = Paging(link=v1_link, all_records=True)

#: The query parameters of the lists; instances have no selectors, since all of them is shown.
PARAMETERS: Mapping[str, tuple[Query, ...]] = {
    "list": (FILTER, *PAGE, _ALL_RECORDS),
    "list_op_occs": (*LIST, _ALL_RECORDS),
}

VNF_INSTANCES_V1 = msgspec.structs.replace(VNF_INSTANCES, paging=_PAGING, parse=parse_for_instances)
VNF_LCM_OP_OCCS_V1 = msgspec.structs.replace(
    VNF_LCM_OP_OCCS,
    paging=_PAGING,
    parse=parse_for_op_occs,
    attributes=msgspec.structs.replace(VNF_LCM_OP_OCCS.attributes, selectable=VNF_LCM_OP_OCCS.attributes.excluded),
)


def check_parameters(given: Iterable[str]) -> None:
    """:raises Rejected: 400, the list of VNF instances has no such parameter."""
    known = {query.name for query in PARAMETERS["list"]}
    if unknown := sorted(set(given) - known):
        detail = f"{', '.join(unknown)} cannot be asked for here: the parameters are {', '.join(sorted(known))}."
        raise Rejected(400, detail)

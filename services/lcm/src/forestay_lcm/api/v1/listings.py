"""Lists of version 1: as those of version 2, but for paths in links, ``all_records``, and what may be selected."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from forestay_events.errors import Rejected
from forestay_lcm.api.v2 import VNF_INSTANCES, VNF_LCM_OP_OCCS
from forestay_sol.paging import LIMIT, MARKER, Paging, v1_link

_PAGING = Paging(link=v1_link, all_records=True)
_PARAMETERS = frozenset({"filter", MARKER, "all_records", LIMIT})

VNF_INSTANCES_V1 = msgspec.structs.replace(VNF_INSTANCES, paging=_PAGING)
VNF_LCM_OP_OCCS_V1 = msgspec.structs.replace(
    VNF_LCM_OP_OCCS,
    paging=_PAGING,
    attributes=msgspec.structs.replace(VNF_LCM_OP_OCCS.attributes, selectable=VNF_LCM_OP_OCCS.attributes.excluded),
)


def check_parameters(given: Iterable[str]) -> None:
    """VNF instances have no selectors in version 1: all is shown. :raises Rejected: 400, another parameter is given."""
    if unknown := sorted(set(given) - _PARAMETERS):
        detail = f"{', '.join(unknown)} cannot be asked for here: the parameters are {', '.join(sorted(_PARAMETERS))}."
        raise Rejected(400, detail)

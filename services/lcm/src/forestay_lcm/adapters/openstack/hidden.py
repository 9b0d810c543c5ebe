"""Parameters that a template hides: Heat shows them as asterisks, to everybody and for ever.

Nobody could give them to a stack that is made anew, or back to one that was changed. So the values that a stack was given are
kept with what is read back of the VNF: sealed in the log, masked in answers, whatever their names are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forestay_sol.vnflcm import InstantiatedVnfInfo

from forestay_lcm.adapters.openstack.template.blueprint import nfv_of
from forestay_lcm.adapters.openstack.template.hot import Json

HIDDEN = "******"

KEPT = "hidden_secret"
"""The member of ``metadata`` and of the result of ``keep-stack`` that has them; its name is that of a secret."""


def hidden_values(parameters: Mapping[str, Any], info: InstantiatedVnfInfo | None, given: Json) -> Json:
    """The values of those of ``parameters`` that Heat hides.

    :param info: what was read back last; it knows those that the stack has had for long.
    :param given: what the stack was given since.
    """
    metadata: Json = (info.metadata or {}) if info else {}
    known = {"nfv": nfv_of(info), **(metadata.get(KEPT) or {}), **given}
    return {name: known[name] for name, value in parameters.items() if value == HIDDEN and name in known}

"""Grants: what an operation asks the NFVO for, and whether the answer can be used."""

from __future__ import annotations

from forestay_lcm.domain.grants.acceptance import Terms, check
from forestay_lcm.domain.grants.definitions import Asking
from forestay_lcm.domain.grants.requests import (
    change_ext_conn_grant_request,
    change_vnfpkg_grant_request,
    create_snapshot_grant_request,
    heal_grant_request,
    instantiate_grant_request,
    operate_grant_request,
    revert_to_snapshot_grant_request,
    terminate_grant_request,
    vnfcs_of,
)
from forestay_lcm.domain.grants.sizes import (
    change_flavour_grant_request,
    level_sizes,
    scale_grant_request,
    scale_sizes,
    scale_to_level_grant_request,
)

__all__ = [
    "Asking",
    "Terms",
    "change_ext_conn_grant_request",
    "change_flavour_grant_request",
    "change_vnfpkg_grant_request",
    "check",
    "create_snapshot_grant_request",
    "heal_grant_request",
    "instantiate_grant_request",
    "level_sizes",
    "operate_grant_request",
    "revert_to_snapshot_grant_request",
    "scale_grant_request",
    "scale_sizes",
    "scale_to_level_grant_request",
    "terminate_grant_request",
    "vnfcs_of",
]

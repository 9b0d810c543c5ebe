"""What the package resources look like, for the OpenAPI document; :mod:`..projections.representation` makes them."""

from __future__ import annotations

from typing import Any, Literal

from forestay_sol.streams.package import OperationalState, SecurityOption
from forestay_sol.types import Identifier, KeyValuePairs, Link, Sol
from forestay_sol.vnfd import Checksum
from msgspec import field

Json = dict[str, Any]


class VnfPkgInfo(Sol, frozen=True, kw_only=True):
    """SOL005 9.5.2.5. What is known of the content is there once it is ONBOARDED. Additions of ours:
    ``onboardingFindings``, warnings and hints about the content, and ``uploadProgress``."""

    id: Identifier
    vnfd_id: Identifier | None = None
    vnf_provider: str | None = None
    vnf_product_name: str | None = None
    vnf_software_version: str | None = None
    vnfd_version: str | None = None
    compatible_specification_versions: tuple[str, ...] = ()
    package_security_option: SecurityOption | None = None
    vnfm_info: tuple[str, ...] = ()
    checksum: Checksum | None = None
    software_images: tuple[Json, ...] = ()
    additional_artifacts: tuple[Json, ...] = ()
    onboarding_state: Literal["CREATED", "UPLOADING", "PROCESSING", "ONBOARDED", "ERROR"]
    operational_state: OperationalState
    usage_state: Literal["IN_USE", "NOT_IN_USE"]
    user_defined_data: KeyValuePairs | None = None
    onboarding_failure_details: Json | None = None
    onboarding_findings: tuple[Json, ...] = ()
    upload_progress: Json | None = None
    links: dict[str, Link] = field(name="_links")

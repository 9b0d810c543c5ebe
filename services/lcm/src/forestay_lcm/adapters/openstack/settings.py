"""What an operator can set about OpenStack: environment variables ``FORESTAY_OPENSTACK_*``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta


class OpenStackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and choices of the driver. The names in Tacker's ``[v2_vnfm]`` are those in the descriptions."""

    openstack_timeout_mins: Annotated[
        int, Meta(ge=1, le=24, description="minutes that Heat has for a stack (openstack_vim_stack_create_timeout)")
    ] = 20
    openstack_quiet_secs: Annotated[
        float, Meta(gt=0, description="seconds without an event in a stack after which Heat is sent its work again")
    ] = 300
    openstack_heat_client_certificate: Annotated[
        Path | None,
        Meta(description="PEM file, certificate and key, for a heatEndpoint of a VIM (heat_mtls_client_cert_file)"),
    ] = None
    openstack_heat_client_permitted: Annotated[
        list[Annotated[str, Meta(pattern="^.+=https?://.+$")]],
        Meta(
            description="PROJECT=URL for each heatEndpoint and tokenEndpoint that a project may use it with; none if empty"
        ),
    ] = []
    openstack_heat_ca_file: Annotated[
        Path | None, Meta(description="PEM file of the CAs of those, else the system's (heat_mtls_ca_cert_file)")
    ] = None
    openstack_bit_rates: Annotated[
        bool,
        Meta(description="keep virtual links' maximum bit rates by QoS policies, which only administrators may make"),
    ] = False
    openstack_reselect_zones: Annotated[
        bool, Meta(description="take another zone when one lacks resources (placement_fallback_best_effort)")
    ] = False
    openstack_zone_tries: Annotated[
        int, Meta(ge=0, description="other zones to try, 0: all that there are (placement_az_select_retry)")
    ] = 0
    openstack_zone_error: Annotated[
        str, Meta(description="regular expression of Heat's reasons for that (placement_az_resource_error)")
    ] = "No valid host was found|[Nn]ot enough hosts|NoValidHost|Exhausted all hosts"

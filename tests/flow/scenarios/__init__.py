"""The one list of scenarios: each a function of the API, the cloud and a directory, for the simulator and a real OpenStack alike.

A scenario makes its packages anew with ids of their own, and leaves nothing in the cloud.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from forestay_standalone.rest import RestApi

from tests.flow.clouds import ScenarioCloud
from tests.flow.scenarios import access, failures, hidden, lives, networks, packages, user_data, volumes, zones

Scenario = Callable[[RestApi, ScenarioCloud, Path], Awaitable[None]]

#: Those for which a run of the continuous integration has time on the real OpenStack.
CI: tuple[Scenario, ...] = (
    lives.the_main_job,
    lives.life_of_a_group,
    lives.life_without_a_base_hot,
    packages.image_of_the_package,
    failures.wrong_image,
    failures.exceeded_quota,
    failures.engine_killed,
    access.application_credential,
    networks.virtual_addresses,
)
REST: tuple[Scenario, ...] = (
    lives.life_of_a_pair,
    lives.life_by_numbers,
    packages.hooks,
    packages.user_data_class,
    packages.newer_flavour,
    packages.newer_image,
    packages.newer_image_of_the_package,
    packages.image_that_a_modification_brings,
    packages.newer_boot_volume,
    hidden.hidden_parameter,
    failures.login_without_trusts,
    failures.engine_killed_in_mid_update,
    failures.engine_killed_unnoticed,
    failures.wrong_flavour,
    failures.network_that_is_gone,
    failures.slow_server,
    failures.stubborn_server,
    failures.volume_in_error,
    failures.unbindable_port,
    access.another_region,
    access.snapshots,
    networks.ports_of_others,
    networks.parts_of_the_template,
    volumes.volumes_of_vnfcs,
    user_data.class_for_each_vnfc,
    user_data.class_of_the_first_api,
    user_data.details_of_the_vnfd,
    zones.no_room_in_a_zone,
    zones.apart_and_together,
)
SCENARIOS = (*CI, *REST)

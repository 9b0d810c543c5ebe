"""All services in one process on one port: for newcomers and small sites, and the drop-in for Tacker's clients."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import forestay_lcm.app
import forestay_monitor.app
import forestay_package_mgmt.app
import forestay_policy.app
import forestay_vim_registry.app
from forestay_events.config import BaseConfig
from forestay_events.platform import Platform, open_platform
from forestay_sol.service import Build, serving

from forestay_standalone.versions import build as versions

BUILDS: tuple[Build, ...] = (
    versions,
    forestay_package_mgmt.app.build,
    forestay_vim_registry.app.build,
    forestay_lcm.app.build,
    forestay_lcm.app.build_openstack_worker,
    forestay_lcm.app.build_script_worker,
    forestay_monitor.app.build,
    forestay_policy.app.build,
)


@asynccontextmanager
async def all_in_one(config: BaseConfig) -> AsyncGenerator[tuple[Platform, str]]:
    """Run everything while the block runs; yields the platform and the URL of the API.

    :raises ForestayError: the port is taken, a server cannot be used, the log was lost, background work failed.
    """
    async with open_platform(config, "forestay") as platform:
        services = [await build(platform) for build in BUILDS]
        async with serving(platform, services, "forestay") as url:
            yield platform, url

"""The simulator as one aiohttp server, to embed in a test or to run as a process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web

from forestay_simvim import placement
from forestay_simvim.cinder import api as cinder
from forestay_simvim.cloud import Cloud
from forestay_simvim.config import Account, Settings, SimConfig
from forestay_simvim.control import Control
from forestay_simvim.faults import Faults
from forestay_simvim.gateway import Gateway
from forestay_simvim.glance import api as glance
from forestay_simvim.heat import api as heat
from forestay_simvim.journal import Journal
from forestay_simvim.keystone import api as keystone
from forestay_simvim.neutron import api as neutron
from forestay_simvim.nova import api as nova

SERVICES = (
    keystone.SERVICE,
    heat.SERVICE,
    nova.SERVICE,
    neutron.SERVICE,
    glance.SERVICE,
    cinder.SERVICE,
    placement.SERVICE,
)
_LARGEST_BODY = 1 << 30


class OpenStackSimulator:
    """A simulated OpenStack.

    Use ``async with OpenStackSimulator(config).serve(host, port) as sim``; then ``sim.url``, ``sim.auth_url`` say where it
    is, and ``sim.journal``, ``sim.faults``, ``sim.settings`` and ``sim.cloud`` let a test look and interfere.
    """

    def __init__(self, config: SimConfig | None = None) -> None:
        self.cloud = Cloud(config or SimConfig())

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end; empty when it is not serving."""
        return self.cloud.base_url

    @property
    def auth_url(self) -> str:
        """Keystone's URL, with ``/v3``."""
        return f"{self.url}{keystone.PREFIX}/v3"

    @property
    def journal(self) -> Journal:
        return self.cloud.journal

    @property
    def faults(self) -> Faults:
        return self.cloud.faults

    @property
    def settings(self) -> Settings:
        return self.cloud.settings

    def openrc(self, account: Account | None = None) -> dict[str, str]:
        """The ``OS_*`` environment of a client, of the first configured account unless told otherwise."""
        who = account or self.cloud.config.accounts[0]
        return {
            "OS_AUTH_URL": self.auth_url,
            "OS_USERNAME": who.name,
            "OS_PASSWORD": who.password,
            "OS_PROJECT_NAME": who.project,
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_REGION_NAME": self.cloud.config.region,
            "OS_IDENTITY_API_VERSION": "3",
        }

    def application(self) -> web.Application:
        """The aiohttp application with all services."""
        app = web.Application(client_max_size=_LARGEST_BODY)
        Control(self.cloud).mount(app)
        gateway = Gateway(self.cloud)
        for service in SERVICES:
            gateway.mount(app, service)
        return app

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[OpenStackSimulator]:
        """Listen while the context lasts; port 0 takes a free one. Open requests are cut at the end."""
        runner = web.AppRunner(self.application(), handler_cancellation=True, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            bound = runner.addresses[0]
            self.cloud.base_url = f"http://{f'[{host}]' if ':' in host else host}:{bound[1]}"
            yield self
        finally:
            self.cloud.stop()
            await runner.cleanup()
            self.cloud.base_url = ""

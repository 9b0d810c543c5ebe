"""The whole simulated cloud: the services' data, the settings and the faults, without any HTTP."""

from __future__ import annotations

import msgspec

from forestay_simvim.cinder.volumes import Volumes
from forestay_simvim.config import Settings, SimConfig
from forestay_simvim.faults import Faults
from forestay_simvim.glance.images import Images
from forestay_simvim.heat.engine import Engine
from forestay_simvim.journal import Journal
from forestay_simvim.keystone.identity import Identity, Token
from forestay_simvim.neutron.network import Networking
from forestay_simvim.nova.compute import Compute
from forestay_simvim.quota import Quota


class Cloud:
    """Everything that the services share. ``base_url`` is where the simulator listens."""

    def __init__(self, config: SimConfig) -> None:
        self.base_url = ""
        self.journal = Journal(config.journal_limit)
        self.faults = Faults()
        self._first_day = config
        self.reset()

    def reset(self) -> None:
        """Back to the first day: data, settings, faults, journal. Tokens become invalid, running actions stop."""
        if hasattr(self, "heat"):
            self.stop()
        self.faults.clear()
        self.journal.clear()
        self.settings = msgspec.convert(msgspec.to_builtins(self._first_day.settings), Settings)
        self.config = config = msgspec.structs.replace(self._first_day, settings=self.settings)
        self.quota = Quota(self.settings)
        self.identity = Identity(config)
        admin = self.identity.project_named("admin")
        self.neutron = Networking(config, self.identity, self.quota)
        self.glance = Images(config, admin["id"] if admin else "")
        self.cinder = Volumes(config, self.quota, self.glance)
        self.nova = Compute(config, self.quota, self.neutron, self.glance, self.cinder)
        self.heat = Engine(self)

    def stop(self) -> None:
        """Cancel what the engine is doing."""
        for stack in self.heat.store.by_id.values():
            if stack.task is not None:
                stack.task.cancel()

    def may_trust(self, token: Token) -> bool:
        """Whether Keystone lets a login make trusts, as Heat does for each new stack."""
        return "application_credential" not in token.methods or bool(self.settings.trusts["application_credential"])

    def counts(self) -> dict[str, int]:
        """How many objects of each kind there are (of ports, those that are not a router's), and stacks by status."""
        stacks = self.heat.store.listing(None, nested=True)
        by_status: dict[str, int] = {}
        for stack in stacks:
            if stack.owner is None:
                by_status[stack.state] = by_status.get(stack.state, 0) + 1
        return {
            "stacks": sum(by_status.values()),
            "nested_stacks": len(stacks) - sum(by_status.values()),
            "servers": len(self.nova.servers),
            "server_groups": len(self.nova.groups),
            "networks": len(self.neutron.networks),
            "subnets": len(self.neutron.subnets),
            "ports": sum(not port["device_owner"].startswith("network:") for port in self.neutron.ports),
            "volumes": len(self.cinder.volumes),
            "images": len(self.glance.images),
            "tokens": len(self.identity.tokens),
            "requests": len(self.journal),
        } | by_status

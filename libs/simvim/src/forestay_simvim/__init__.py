"""A protocol-level OpenStack in one process: Keystone, Heat, Nova, Neutron, Glance and Cinder, all in memory.

Unmodified clients (openstacksdk, ``openstack``) work against it. Nothing boots and nothing is stored, but every REST call,
HOT template, status and error is like the real one.

Embedded::

    async with OpenStackSimulator(SimConfig()).serve() as sim:
        sim.auth_url, sim.openrc(), sim.journal.effects("stack created"), sim.faults.add(CallFault(service="heat"))

As a process: ``python -m forestay_simvim --port 0`` prints one JSON line with ``url``, ``auth_url`` and the credentials.

The control endpoint takes and gives JSON, without a token:

========================  ============================================================================================
``GET /_sim``             counts of objects, and of stacks by status
``GET /_sim/journal``     requests received; filters ``service``, ``method``, ``path`` (regular expression), ``project``,
                          ``acted``, ``after`` (sequence number), ``limit``; ``DELETE`` forgets them
``GET /_sim/faults``      rules in force; ``DELETE`` removes all, ``DELETE /_sim/faults/{id}`` one
``POST /_sim/faults``     a rule: ``{"on": "call", ...}`` (:class:`CallFault`) or ``{"on": "resource", ...}``
                          (:class:`ResourceFault`)
``GET /_sim/settings``    :class:`Settings`; ``PATCH`` merges: ``{"latency": {"heat": 2}, "error_rate": {"*": 0.1},
                          "build": {"server": 5}, "quota": {"instances": 3}}``
``POST /_sim/reset``      back to the first day
========================  ============================================================================================

Faults by example::

    {"on": "call", "service": "heat", "method": "POST", "path": "/stacks$", "effect": "reset", "when": "after"}
    {"on": "call", "service": "heat", "status": 429, "retry_after": 1, "times": 3}
    {"on": "call", "service": "keystone", "effect": "hang", "times": null}
    {"on": "resource", "name": "VDU1", "stack": "vnf-*", "error": "ResourceInError", "reason": "Went to status ERROR ..."}
    {"on": "resource", "type": "OS::Nova::Server", "effect": "stuck"}
"""

from __future__ import annotations

from forestay_simvim.config import Account, Flavor, Network, Settings, SimConfig
from forestay_simvim.faults import CallFault, ResourceFault
from forestay_simvim.journal import Entry, Journal
from forestay_simvim.simulator import OpenStackSimulator

__all__ = [
    "Account",
    "CallFault",
    "Entry",
    "Flavor",
    "Journal",
    "Network",
    "OpenStackSimulator",
    "ResourceFault",
    "Settings",
    "SimConfig",
]

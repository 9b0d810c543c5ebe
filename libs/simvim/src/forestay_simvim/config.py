"""What a simulated cloud looks like on its first day, and what may be changed while it runs.

The defaults are those of the real cloud that Forestay is compared with: flavors ``m1.*``, images ``cirros`` and
``vnf-image``, networks ``public``, ``mgmt`` and ``private``, user ``demo``, zone ``nova``, region ``RegionOne``.
"""

from __future__ import annotations

import msgspec


class Account(msgspec.Struct, frozen=True):
    """A user with the role names it has on one project; every user is in the domain ``Default``."""

    name: str
    password: str
    project: str
    roles: tuple[str, ...] = ("member", "reader")


class Flavor(msgspec.Struct, frozen=True):
    """A Nova flavor: RAM in MiB, disk in GB."""

    name: str
    vcpus: int
    ram: int
    disk: int


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A network with one subnet; without ``project`` it belongs to the admin.

    :param router: name of the external network to which a router connects it.
    """

    name: str
    cidr: str
    project: str | None = None
    external: bool = False
    shared: bool = False
    dhcp: bool = True
    router: str | None = None


_HOSTS = tuple(f"sim-compute-{number}" for number in range(1, 6))
_QUOTA = {
    "instances": 10_000,
    "cores": 40_000,
    "ram": 100_000_000,
    "server_groups": 10_000,
    "network": 10_000,
    "subnet": 10_000,
    "port": 100_000,
    "router": 1_000,
    "floatingip": 1_000,
    "security_group": 10_000,
    "volumes": 50_000,
    "gigabytes": 10_000_000,
    "stacks": 100_000,
    "image_tags": 128,
}


class Settings(msgspec.Struct, kw_only=True):
    """What the control endpoint changes on the fly. Times are in seconds, shares from 0 to 1.

    ``latency`` and ``error_rate`` have the key ``*`` for all services, or a service's name (``heat``, ``nova``, …);
    ``build`` has ``server``, ``volume`` and ``stack`` (a pause before each stack action); ``quota`` has Nova's, Neutron's and
    Cinder's own names (``instances``, ``cores``, ``ram``, ``network``, ``port``, ``volumes``, ``gigabytes``, ``stacks``, …), and
    ``image_tags`` of one image; ``page`` is the most rows that a service (``nova``, ``neutron``, ``cinder``) shows at once;
    ``trusts`` has ``application_credential``: 1 when such a login may make trusts, which Heat needs for each new stack.
    """

    latency: dict[str, float] = {}
    error_rate: dict[str, float] = {}
    build: dict[str, float] = msgspec.field(default_factory=lambda: {"server": 0.0, "volume": 0.0, "stack": 0.0})
    quota: dict[str, int] = msgspec.field(default_factory=lambda: dict(_QUOTA))
    page: dict[str, int] = {}
    trusts: dict[str, int] = msgspec.field(default_factory=lambda: {"application_credential": 0})


class SimConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is fixed when a simulator starts.

    :param tacker_endpoint: URL of the VNF manager; the catalog then has ``nfv-orchestration``.
    :param token_lifetime: seconds until a token expires.
    :param journal_limit: how many requests the journal keeps, the oldest go first.
    :param minute: seconds in a minute of a stack's ``timeout_mins``, so that a test need not wait for one.
    :param zones: compute hosts by availability zone.
    """

    region: str = "RegionOne"
    tacker_endpoint: str | None = None
    token_lifetime: float = 86_400.0
    journal_limit: int = 200_000
    minute: float = 60.0
    accounts: tuple[Account, ...] = (
        Account("demo", "demo-secret", "demo", ("member", "reader", "heat_stack_owner")),
        Account("admin", "admin-secret", "admin", ("admin", "member", "reader")),
    )
    flavors: tuple[Flavor, ...] = (
        Flavor("m1.tiny", 1, 512, 1),
        Flavor("m1.small", 1, 2048, 20),
        Flavor("m1.medium", 2, 4096, 40),
        Flavor("m1.large", 4, 8192, 80),
    )
    images: tuple[str, ...] = ("cirros", "vnf-image")
    networks: tuple[Network, ...] = (
        Network(name="public", cidr="172.24.4.0/24", external=True, dhcp=False),
        Network(name="mgmt", cidr="192.168.120.0/22", shared=True),
        Network(name="private", cidr="10.10.0.0/24", project="demo", router="public"),
    )
    zones: dict[str, tuple[str, ...]] = msgspec.field(default_factory=lambda: {"nova": _HOSTS})
    settings: Settings = msgspec.field(default_factory=Settings)

"""How the registry tries a VIM's credentials: one driver per VIM type, behind a port.

Every driver connects only to where VIMs may be, however a name is resolved and wherever it is redirected to, and through no
proxy. It has an answer within its patience, whatever the VIM does, and turns every foreign error into one of two: the VIM
refused the credentials, or it cannot be talked to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from forestay_events.errors import Rejected
from forestay_sol.egress import Egress
from forestay_sol.streams.vim import VimType

from forestay_vim_registry.domain.login import Login
from forestay_vim_registry.domain.refusals import VimUnreachable

_WORDS = 300


class Driver(Protocol):
    """Talks to VIMs of one type."""

    async def discover(self, login: Login) -> list[str]:
        """Log in, and give the VIM's regions (of Kubernetes: its namespaces).

        :raises VimUnauthorized: the VIM refuses the credentials.
        :raises VimUnreachable: it gave no usable answer in time.
        """
        ...

    def close(self) -> None:
        """Let go of what the driver holds."""
        ...


Drivers = Mapping[VimType, Driver]


def words(error: BaseException) -> str:
    """What a foreign error says, in one line of bearable length."""
    return " ".join((str(error) or type(error).__name__).split())[:_WORDS]


def permitted(egress: Egress, url: str) -> None:
    """:raises VimUnreachable: the operator lets no VIM be there."""
    try:
        egress.check(url, "")
    except Rejected as error:
        raise VimUnreachable(f"{url} cannot be used: {error}") from None


def make_drivers(threads: int, patience: float, egress: Egress) -> Drivers:
    """A driver for every VIM type.

    :param threads: how many OpenStacks are talked to at once; the others wait.
    :param patience: seconds in which a VIM must have answered.
    :param egress: where VIMs may be.
    """
    from forestay_vim_registry.drivers.kubernetes import KubernetesDriver
    from forestay_vim_registry.drivers.openstack import OpenStackDriver

    return {"openstack": OpenStackDriver(threads, patience, egress), "kubernetes": KubernetesDriver(patience, egress)}

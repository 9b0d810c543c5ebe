"""Addresses of one subnet: handed out once, in order, from its allocation pools; freed ones come last."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Iterator
from itertools import chain

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def default_pools(cidr: str, gateway: str | None) -> list[dict[str, str]]:
    """The allocation pools that Neutron makes: all host addresses but the gateway's."""
    net = ipaddress.ip_network(cidr)
    small = net.prefixlen >= net.max_prefixlen - 1
    first, last = int(net[0]) + (0 if small else 1), int(net[-1]) - (0 if small or net.version == 6 else 1)
    hole = int(ipaddress.ip_address(gateway)) if gateway else -1
    spans = [(first, hole - 1), (hole + 1, last)] if first <= hole <= last else [(first, last)]
    make = type(net[0])
    return [{"start": str(make(low)), "end": str(make(high))} for low, high in spans if low <= high]


class Allocator:
    """The free addresses of a subnet."""

    def __init__(self, cidr: str, pools: list[dict[str, str]]) -> None:
        self.network = ipaddress.ip_network(cidr)
        self._used: set[int] = set()
        self._freed: deque[int] = deque()
        self._fresh: Iterator[int] = chain.from_iterable(
            range(int(ipaddress.ip_address(pool["start"])), int(ipaddress.ip_address(pool["end"])) + 1)
            for pool in pools
        )

    def take(self) -> str | None:
        """The next free address, ``None`` when there is none left."""
        for number in self._fresh:
            if number not in self._used:
                return self._mark(number)
        while self._freed:
            number = self._freed.popleft()
            if number not in self._used:
                return self._mark(number)
        return None

    def contains(self, address: str) -> bool:
        """Whether the address is one of the subnet's."""
        try:
            return ipaddress.ip_address(address) in self.network
        except ValueError:
            return False

    def claim(self, address: str) -> bool:
        """Take this very address; false when somebody has it."""
        number = int(ipaddress.ip_address(address))
        if number in self._used:
            return False
        self._mark(number)
        return True

    def free(self, address: str) -> None:
        """Give the address back."""
        number = int(ipaddress.ip_address(address))
        if number in self._used:
            self._used.discard(number)
            self._freed.append(number)

    def _mark(self, number: int) -> str:
        self._used.add(number)
        return str(type(self.network[0])(number))

"""Where VIMs may be: on loopback and in private networks, too, as clouds are, but not at Forestay's own NATS and PostgreSQL.

Those are closed by the names that Forestay knows them by, and by the addresses that these lead to when a process starts.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from forestay_events.config import BaseConfig, load
from msgspec import Meta

from forestay_sol.egress import Egress, networks, place

_SERVER = re.compile(r"\[?(.+?)\]?(?::(\d+))?")


class VimNetworks(msgspec.Struct, frozen=True, kw_only=True):
    """Where an operator lets VIMs be: environment variables ``FORESTAY_VIM_ALLOW`` and ``FORESTAY_VIM_DENY``."""

    vim_allow: Annotated[list[str], Meta(description="networks that VIMs may be in; all if empty")] = []
    vim_deny: Annotated[list[str], Meta(description="networks that VIMs must not be in")] = []


def vim_egress(config: BaseConfig, where: VimNetworks | None = None) -> Egress:
    """Where VIMs may be.

    :param where: from the environment if it is not given.
    :raises Permanent: a network cannot be read.
    """
    where = where or load(VimNetworks)
    nats = (server for url in config.nats_url.split(",") for server in _servers(url.strip(), 4222))
    own = {*nats, *_servers(config.database_url, 5432)}
    closed = frozenset((found, port) for host, port in own for found in (place(host), *_addresses(host)))
    return Egress(allowed=networks(where.vim_allow), denied=networks(where.vim_deny), loopback=True, closed=closed)


def _servers(url: str, default: int) -> Iterator[tuple[str, int]]:
    """The hosts and ports in the address of a server, which may name several; ``default`` is the port of those without."""
    netloc = urlsplit(url if "//" in url else f"//{url}").netloc.rpartition("@")[2]
    found = (_SERVER.fullmatch(each) for each in netloc.split(","))
    return ((server[1], int(server[2] or default)) for server in found if server)


def _addresses(host: str) -> Iterator[str]:
    try:
        yield from (place(str(info[4][0])) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except OSError:  # by this name nobody gets there
        return

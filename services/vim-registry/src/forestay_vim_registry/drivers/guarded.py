"""Connections of ``requests`` that are made only to where VIMs may be: what counts is the address that is connected to. So there
is no proxy, whatever the environment says: to where it connects, nobody here sees."""

from __future__ import annotations

import socket
from typing import Any

from forestay_sol.egress import Egress
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from forestay_vim_registry.domain.refusals import VimUnreachable


class Guarded(HTTPAdapter):
    """To be mounted in a session.

    :param egress: where connections may lead.
    """

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        super().__init__()

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        return super().send(request, *args, **options | {"proxies": None})

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._egress)


def _pools(egress: Egress) -> dict[str, type[HTTPConnectionPool]]:
    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _checked(super()._new_conn(), egress)

    class SecureConnection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _checked(super()._new_conn(), egress)

    class Pool(HTTPConnectionPool):
        ConnectionCls: Any = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls: Any = SecureConnection

    return {"http": Pool, "https": SecurePool}


def _checked(made: socket.socket, egress: Egress) -> socket.socket:
    """The connection, on which nothing was sent yet. :raises VimUnreachable: it may not be used."""
    host, port = made.getpeername()[:2]
    if not egress.permits(host, port):
        made.close()
        raise VimUnreachable(f"The egress policy of Forestay denies connections to {host}, port {port}.")
    return made

"""Where VIMs may be: on this machine and in private networks, but not at Forestay's own servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from forestay_events.config import BaseConfig
from forestay_events.errors import Rejected
from forestay_sol.egress import Egress
from forestay_sol.vim_egress import VimNetworks, vim_egress


def egress(nats: str, database: str, **where: list[str]) -> Egress:
    return vim_egress(BaseConfig(nats_url=nats, database_url=database, data_dir=Path()), VimNetworks(**where))


@pytest.mark.parametrize(
    ("nats", "database", "closed"),
    [
        ("nats://127.0.0.1:4222", "postgresql://u:p@db.invalid/forestay", {("127.0.0.1", 4222), ("db.invalid", 5432)}),
        (
            "nats://u:p@A.invalid, b.invalid:4333",
            "postgresql://u:p%3A1@[::1]:5433,c.invalid/forestay?sslmode=disable",
            {("a.invalid", 4222), ("b.invalid", 4333), ("127.0.0.1", 5433), ("c.invalid", 5432)},
        ),
        ("nats://localhost", "postgresql:///f", {("localhost", 4222), ("127.0.0.1", 4222)}),
        (
            "nats://localhost",
            "postgresql://u:p,q@10.1.1.1/f",
            {("localhost", 4222), ("127.0.0.1", 4222), ("10.1.1.1", 5432)},
        ),
    ],
)
def test_own_servers_are_closed(nats: str, database: str, closed: set[tuple[str, int]]) -> None:
    policy = egress(nats, database)
    assert policy.closed == closed
    for host, port in closed:
        with pytest.raises(Rejected, match="denies") as refused:
            policy.check(f"http://{host}:{port}", "/x")
        assert refused.value.status == 422
        assert policy.check(f"http://10.0.0.5:{port}", "/x").port == port, "on another host it is nobody's"


def test_a_keystone_at_the_port_that_postgresql_has_elsewhere() -> None:
    policy = egress("nats://nats.invalid", "postgresql://db.invalid:5000/forestay")
    assert policy.check("https://keystone.invalid:5000/v3", "/endpoint").port == 5000


def test_what_an_operator_says() -> None:
    policy = egress("nats://127.0.0.1", "postgresql://127.0.0.1/f")
    addresses = ("127.0.0.1", "10.0.0.5", "10.9.0.5", "169.254.169.254", "fe80::1")
    assert [policy.permits(address) for address in addresses] == [True, True, True, False, False]
    narrow = egress("nats://127.0.0.1", "postgresql://127.0.0.1/f", vim_allow=["10.0.0.0/8"], vim_deny=["10.9.0.0/16"])
    assert [narrow.permits(address) for address in addresses] == [False, True, False, False, False]

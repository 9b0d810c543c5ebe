"""Where callbacks and VIMs may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp.abc import ResolveResult
from forestay_events.config import BaseConfig
from forestay_events.errors import Permanent, Rejected
from forestay_sol.egress import Denied, Egress, EgressResolver, VimNetworks, networks, vim_egress

OPEN = Egress(loopback=True)


@pytest.mark.parametrize(
    ("address", "permitted"),
    [
        ("127.0.0.1", True), ("::1", True), ("10.1.2.3", True), ("192.168.0.9", True), ("2001:db8::1", True),
        ("169.254.169.254", False), ("::ffff:169.254.169.254", False), ("fe80::1%eth0", False), ("fd00:ec2::254", False),
        ("100.100.100.200", False), ("0.0.0.1", False), ("::", False), ("224.0.0.1", False), ("255.255.255.255", False),
    ],
)  # fmt: skip
def test_default(address: str, permitted: bool) -> None:
    assert OPEN.permits(address) is permitted


def test_loopback_only_if_allowed() -> None:
    assert not any(Egress().permits(address) for address in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"))


def test_lists() -> None:
    egress = Egress(allowed=networks(["10.0.0.0/8", "169.254.0.0/16"]), denied=networks(["10.9.0.0/16"]))
    permitted = {address: egress.permits(address) for address in ("10.1.1.1", "10.9.1.1", "8.8.8.8", "169.254.1.1")}
    assert permitted == {"10.1.1.1": True, "10.9.1.1": False, "8.8.8.8": False, "169.254.1.1": True}
    with pytest.raises(Permanent, match="no network"):
        networks(["10.0.0.0/99"])


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("ftp://example.org/x", 400), ("/callback", 400), ("http://", 400), ("http://user:secret@example.org/", 400),
        ("http://[::1", 400), ("http://169.254.169.254/latest", 422), ("http://[::ffff:169.254.169.254]/", 422),
    ],
)  # fmt: skip
def test_refused_uris(uri: str, status: int) -> None:
    with pytest.raises(Rejected) as refused:
        OPEN.check(uri, "/callbackUri")
    assert (refused.value.status, refused.value.pointer) == (status, "/callbackUri")


@pytest.mark.parametrize("name", ["localhost", "2130706433", "0x7f000001"])
async def test_names_are_resolved_first(name: str) -> None:
    """However the address is written: what counts is where the connection would go."""
    resolver = EgressResolver(Egress())
    try:
        with pytest.raises(Denied, match="egress policy"):
            await resolver.resolve(name, 80)
        found: list[ResolveResult] = await EgressResolver(OPEN).resolve(name, 80)
        assert found[0]["host"] == "127.0.0.1"
    finally:
        await resolver.close()


@pytest.mark.parametrize(
    ("nats", "database", "closed"),
    [
        ("nats://127.0.0.1:4222", "postgresql://u:p@db/forestay", {4222, 5432}),
        (
            "nats://a, nats://b:4333",
            "postgresql://u:p%3A1@[::1]:5433,c/forestay?sslmode=disable",
            {4222, 4333, 5433, 5432},
        ),
    ],
)
def test_where_vims_may_be(nats: str, database: str, closed: set[int]) -> None:
    """On this machine and in private networks, but not at Forestay's own servers; and where the operator lets them."""
    config = BaseConfig(nats_url=nats, database_url=database, data_dir=Path())
    egress = vim_egress(config, VimNetworks())
    assert egress.closed == closed
    assert egress.permits("127.0.0.1")
    assert egress.permits("10.0.0.5")
    for url in (
        "http://169.254.169.254/v3",
        "http://[fe80::1]:5000/v3",
        *(f"http://10.0.0.5:{port}" for port in closed),
    ):
        with pytest.raises(Rejected, match="denies") as refused:
            egress.check(url, "/x")
        assert refused.value.status == 422
    assert egress.check("http://127.0.0.1:5000/v3", "/x").port == 5000
    narrow = vim_egress(config, VimNetworks(vim_allow=["10.0.0.0/8"], vim_deny=["10.9.0.0/16"]))
    assert [narrow.permits(address) for address in ("10.0.0.5", "10.9.0.5", "127.0.0.1")] == [True, False, False]

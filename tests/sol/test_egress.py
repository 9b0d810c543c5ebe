"""Where callbacks and VIMs may be."""

from __future__ import annotations

import socket

import pytest
from aiohttp.abc import ResolveResult
from forestay_events.errors import Permanent, Rejected
from forestay_sol.egress import Denied, Egress, EgressResolver, networks

OPEN = Egress(loopback=True)


@pytest.mark.parametrize(
    ("address", "permitted"),
    [
        ("127.0.0.1", True), ("::1", True), ("10.1.2.3", True), ("192.168.0.9", True), ("2001:db8::1", True),
        ("169.254.169.254", False), ("::ffff:169.254.169.254", False), ("fe80::1%eth0", False), ("fd00:ec2::254", False),
        ("100.100.100.200", False), ("0.0.0.1", False), ("::", False), ("224.0.0.1", False), ("255.255.255.255", False),
        ("64:ff9b::a9fe:a9fe", False), ("2002:a9fe:a9fe::1", False), ("::169.254.169.254", False),
        ("2001:0:1:1:0:0:5601:5601", False), ("64:ff9b::a00:1", True), ("2002:a00:1::1", True), ("::10.0.0.1", True),
    ],
)  # fmt: skip
def test_default(address: str, permitted: bool) -> None:
    assert OPEN.permits(address) is permitted


def test_loopback_only_if_allowed() -> None:
    ways = ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::127.0.0.1", "2002:7f00:1::")
    assert not any(Egress().permits(address) for address in ways)


def test_lists() -> None:
    egress = Egress(allowed=networks(["10.0.0.0/8", "169.254.0.0/16"]), denied=networks(["10.9.0.0/16"]))
    permitted = {address: egress.permits(address) for address in ("10.1.1.1", "10.9.1.1", "8.8.8.8", "169.254.1.1")}
    assert permitted == {"10.1.1.1": True, "10.9.1.1": False, "8.8.8.8": False, "169.254.1.1": True}
    assert not egress.permits("64:ff9b::a09:101")
    assert not Egress(denied=networks(["2002::/16"])).permits("2002:808:808::1")
    with pytest.raises(Permanent, match="no network"):
        networks(["10.0.0.0/99"])


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("ftp://example.org/x", 400), ("/callback", 400), ("http://", 400), ("http://user:secret@example.org/", 400),
        *((f"http://{host}/", 400) for host in ("127.1", "0", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.0.0.1.")),
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
    ("host", "port", "permitted"),
    [
        ("127.0.0.1", 4222, False), ("127.8.8.8", 4222, False), ("[::1]", 4222, False), ("[::ffff:127.0.0.1]", 4222, False),
        ("[::]", 4222, False), ("127.0.0.1", 4223, True), ("10.0.0.5", 4222, True),
        ("nats", 4222, False), ("NATS.", 4222, False), ("nats", 5000, True), ("other", 4222, True),
        ("[64:ff9b::7f00:1]", 4222, False),
    ],
)  # fmt: skip
async def test_a_server_is_closed_by_its_name_and_address(host: str, port: int, permitted: bool) -> None:
    egress = Egress(
        loopback=True, closed=frozenset({("127.0.0.1", 4222), ("nats", 4222)}), allowed=networks(["0.0.0.0/0", "::/0"])
    )
    if permitted:
        assert egress.check(f"http://{host}:{port}/v3", "/x").port == port
    else:
        with pytest.raises(Rejected, match="denies") as refused:
            egress.check(f"http://{host}:{port}/v3", "/x")
        assert refused.value.status == 422


async def test_a_name_does_not_lead_to_a_closed_server() -> None:
    egress = Egress(loopback=True, closed=frozenset({("127.0.0.1", 4222)}))
    resolver = EgressResolver(egress)
    try:
        with pytest.raises(Denied, match="egress policy"):
            await resolver.resolve("localhost", 4222)
        assert await resolver.resolve("localhost", 4223)
    finally:
        await resolver.close()
    found = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 4222))
    with pytest.raises(Denied, match="port 4222"):
        egress.open_socket(found)

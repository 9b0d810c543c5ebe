"""Contents that Forestay fetches: credentials, redirects, cuts, limits, and addresses that it must not reach."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from forestay_events.sealing import Shredded
from forestay_package_mgmt.domain.decide import PACKAGE
from forestay_package_mgmt.fetching.egress import FetchEgress
from forestay_sol.egress import networks
from forestay_sol.streams.package import UPLOAD, PackageUploadRequested

from tests.package_mgmt.service.conftest import ROOT, Json
from tests.package_mgmt.v2.conftest import Client, Clients
from tests.package_mgmt.v2.origin import BASIC, origin


async def _requested(client: Client, address: str, **members: Any) -> str:
    """Path of a package that waits for what is at an address."""
    path = await client.create()
    body = {"addressInformation": address, **members}
    reply = await client.ask("POST", f"{path}/package_content/upload_from_uri", body)
    assert (reply.status, reply.body) == (202, b"")
    return path


async def _failure(client: Client, path: str) -> str:
    info = await client.until(path, "ERROR", "ONBOARDED")
    assert info["onboardingState"] == "ERROR"
    assert info["onboardingFailureDetails"]["rule"] == "upload-from-uri"
    return info["onboardingFailureDetails"]["detail"]


async def test_a_package_is_fetched_and_onboarded(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client, origin(asg) as server:
        info = await client.until(await _requested(client, f"{server.url}/asg.zip?sig=x%2By"), "ONBOARDED", "ERROR")
        assert info["checksum"]["hash"] == hashlib.sha512(asg).hexdigest()
        assert server.asked == [("/asg.zip?sig=x%2By", "", "")]
        again = await client.ask(
            "POST", f"/vnfpkgm/v2/vnf_packages/{info['id']}/package_content/upload_from_uri",
            {"addressInformation": server.url},
        )  # fmt: skip
        assert again.status == 409


async def test_what_v1_asks_for(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client, origin(asg) as server:
        server.authorization, server.leave = BASIC, asyncio.Semaphore(0)
        id_ = await client.server.create()
        body = {"addressInformation": server.url, "userName": "user", "password": "pass word"}
        async with client.server.http.post(f"{ROOT}/{id_}/package_content/upload_from_uri", json=body) as response:
            assert (response.status, await response.read()) == (202, b"")
        assert (await client.server.show(id_))["onboardingState"] == "UPLOADING"
        server.leave.release()
        async with asyncio.timeout(60):
            while (await client.server.show(id_))["onboardingState"] != "ONBOARDED":
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("authorization", "members"),
    [
        (BASIC, {"authType": "BASIC", "paramsBasic": {"userName": "user", "password": "pass word"}}),
        ("Bearer let-me-in", {"authType": "OAUTH2_CLIENT_CREDENTIALS",
                              "paramsOauth2ClientCredentials": {"clientId": "client", "clientPassword": "s3cret"}}),
    ],
)  # fmt: skip
async def test_credentials_are_sealed_used_and_not_taken_elsewhere(
    clients: Clients, asg: bytes, authorization: str, members: Json
) -> None:
    async with clients.running() as client, origin(asg) as server, origin(asg) as other:
        server.authorization, server.target = authorization, f"{other.url}/there"
        if "paramsOauth2ClientCredentials" in members:
            members["paramsOauth2ClientCredentials"]["tokenEndpoint"] = f"{server.url}/token"
        path = await _requested(client, f"{server.url}/here?X-Signature=geheim", **members)
        await client.until(path, "ONBOARDED")
        commits = await client.server.platform.store.load(f"pkg.package.{path.rpartition('/')[2]}", after=0)
        log = b"".join(bytes(event) for stored in commits for event in stored.commit.events)
        assert b"sealed:" in log
        assert not [secret for secret in (b"pass word", b"s3cret", b"geheim", b"let-me-in") if secret in log]

        await client.until(await _requested(client, f"{server.url}/moved", **members), "ERROR")
        assert {asked[2] for asked in other.asked} <= {""}, "credentials stay where they were meant for"


async def test_wrong_credentials_are_told(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client, origin(asg) as server:
        server.authorization = BASIC
        path = await _requested(client, f"{server.url}/x?secret=1")
        assert "/x answered 401 Unauthorized" in await _failure(client, path)
        server.authorization = None
        assert (await client.ask("PUT", f"{path}/package_content", asg)).status == 202, "it can be repeated otherwise"
        await client.until(path, "ONBOARDED")


async def test_a_cut_is_taken_up_where_it_was(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client, origin(asg) as server:
        server.cut = [1000, 500]
        await client.until(await _requested(client, server.url), "ONBOARDED")
        assert [asked[1] for asked in server.asked] == ["", "bytes=1000-", "bytes=1500-"]


async def test_without_a_tag_a_cut_begins_anew_and_a_passing_fault_is_tried_again(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client, origin(asg) as server:
        server.tag, server.cut, server.statuses = "", [1000], [503]
        await client.until(await _requested(client, server.url), "ONBOARDED")
        assert [asked[1] for asked in server.asked] == ["", "", ""]


async def test_progress_is_shown(clients: Clients, asg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forestay_package_mgmt.fetching.worker._TELL_EVERY", 0.0)
    async with clients.running() as client, origin(asg * 20) as server:
        server.pace, server.leave = len(asg), asyncio.Semaphore(0)
        path = await _requested(client, server.url)
        for sent in range(20):
            async with asyncio.timeout(60):
                while (progress := (await client.get(path))["uploadProgress"])["receivedBytes"] < sent * len(asg):
                    await asyncio.sleep(0.01)
            assert progress["receivedBytes"] == sent * len(asg)
            assert progress.get("totalBytes", len(asg) * 20) == len(asg) * 20
            server.leave.release()
        await client.until(path, "PROCESSING", "ONBOARDED", "ERROR")
        assert "uploadProgress" not in await client.get(path)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"package_size_limit": 1000}, "larger than the 1000 bytes"),
        ({"package_fetch_time": 0.3}, "longer than 0.3 seconds"),
    ],
)
async def test_limits_end_it(clients: Clients, asg: bytes, settings: Json, reason: str) -> None:
    async with clients.running(**settings) as client, origin(asg) as server:
        server.pace, server.pause = 500, 0.1
        assert reason in await _failure(client, await _requested(client, server.url))
        async with asyncio.timeout(60):
            while client.server.unfinished_uploads() or await client.server.blobs():
                await asyncio.sleep(0.02)


async def test_secrets_go_with_the_package(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client, origin(asg) as server:
        server.authorization = BASIC
        path = await _requested(
            client, server.url, authType="BASIC", paramsBasic={"userName": "user", "password": "pass word"}
        )
        await client.until(path, "ONBOARDED")
        id_, vault = path.rpartition("/")[2], client.server.platform.vault
        requested = (await client.server.platform.store.load(f"pkg.package.{id_}", after=0))[1].commit
        [event] = PACKAGE.codec.decode(requested)
        assert isinstance(event, PackageUploadRequested)
        opened = await vault.open_members(id_, event.access, path=UPLOAD)
        assert opened["authentication"]["paramsBasic"]["password"] == "pass word"
        await client.ask("PATCH", path, {"operationalState": "DISABLED"})
        assert (await client.ask("DELETE", path)).status == 204
        async with asyncio.timeout(60):
            while True:
                try:
                    await vault.open_members(id_, event.access, path=UPLOAD)
                except Shredded:
                    break
                await asyncio.sleep(0.05)


async def test_what_is_deleted_meanwhile_leaves_nothing(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client, origin(asg) as server:
        server.pace, server.leave = 2000, asyncio.Semaphore(1)
        path = await _requested(client, server.url, authType="BASIC", paramsBasic={"userName": "u", "password": "p"})
        while not server.asked:
            await asyncio.sleep(0.01)
        assert (await client.ask("DELETE", path)).status == 204
        async with asyncio.timeout(60):
            while client.server.unfinished_uploads() or await client.server.blobs():
                await asyncio.sleep(0.05)
        assert (await client.ask("GET", path)).status == 404


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1/", "http://[::1]/", "http://10.1.2.3/", "http://169.254.169.254/latest", "http://[::ffff:10.0.0.1]/",
     "http://[fe80::1]/", "http://100.64.0.1/", "http://0.0.0.0/", "http://[64:ff9b::a00:1]/", "http://[2002:a00:1::]/"],
)  # fmt: skip
async def test_inner_addresses_are_refused_at_once(clients: Clients, address: str) -> None:
    async with clients.running(package_fetch_allow=[]) as client:
        path = await client.create()
        reply = await client.ask("POST", f"{path}/package_content/upload_from_uri", {"addressInformation": address})
        assert reply.status == 422
        assert (await client.get(path))["onboardingState"] == "CREATED"


@pytest.mark.parametrize(
    "address", ["ftp://example.com/a", "file:///etc/passwd", "http://u:p@example.com/", "nothing", "http://127.1/"]
)
async def test_other_addresses_are_refused_at_once(clients: Clients, address: str) -> None:
    async with clients.running() as client:
        path = await client.create()
        reply = await client.ask("POST", f"{path}/package_content/upload_from_uri", {"addressInformation": address})
        assert (reply.status, reply.body["invalidParams"][0]["pointer"]) == (400, "/addressInformation")


async def test_names_and_redirects_are_checked_where_they_lead(clients: Clients, asg: bytes) -> None:
    """``localhost`` is no address as it is written; what it resolves to is."""
    async with clients.running(package_fetch_allow=[]) as client, origin(asg) as server:
        port = server.url.rpartition(":")[2]
        failure = await _failure(client, await _requested(client, f"http://localhost:{port}/"))
        assert "egress policy denies" in failure
        assert "FORESTAY_PACKAGE_FETCH_ALLOW" in failure
        assert server.asked == []
    async with clients.running(package_fetch_deny=["127.0.0.9/32"]) as client, origin(asg) as server:
        for target in (f"http://127.0.0.9:{port}/", "http://169.254.169.254/", "file:///etc/passwd", "/moved"):
            server.target = target
            await _failure(client, await _requested(client, f"{server.url}/moved"))
        assert {asked[0] for asked in server.asked} == {"/moved"}


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("93.184.216.34", True), ("2606:4700::1111", True), ("10.9.0.1", True), ("10.8.0.1", False), ("8.8.8.8", False),
     ("224.0.0.1", False), ("192.168.0.1", False), ("172.16.0.1", False), ("fd00:ec2::254", False), ("::", False),
     ("::192.168.0.1", False), ("2001:0:1:1:0:0:3f57:fffe", False), ("64:ff9b::a09:1", True), ("64:ff9b::808:808", False)],
)  # fmt: skip
def test_the_policy(address: str, allowed: bool) -> None:
    egress = FetchEgress(allowed=networks(["10.9.0.0/16"]), denied=networks(["8.8.8.0/24"]))
    assert egress.permits(address) is allowed

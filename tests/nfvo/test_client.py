"""Logging in at an NFVO in every way, TLS, settings, and packages that come whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from forestay_events.blobs import FileBlobStore
from forestay_events.config import ConfigError, load
from forestay_events.errors import Permanent, Rejected, Retryable
from forestay_lcm.adapters.nfvo.client import Nfvo
from forestay_lcm.adapters.nfvo.settings import NfvoSettings
from forestay_sol.vnfd import Checksum
from forestay_sol.vnflcm import Grant, GrantRequest

from tests.nfvo.conftest import client
from tests.nfvo.simulator import NfvoSimulator
from tests.vim_registry.certificates import self_signed

PACKAGE, DESCRIPTOR = bytes(range(256)) * 4096 * 3, b"zip of a vnfd"


def oauth(nfvo: NfvoSimulator, **settings: str) -> Nfvo:
    members = {"token_endpoint": f"{nfvo.url}/token", "client_id": "forestay", "client_secret": "s3cret/+"} | settings
    return client(nfvo, auth="oauth2", **members)


async def test_basic(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    nfvo.user = ("vnfm", "pass:word")
    async with client(nfvo, auth="basic", username="vnfm", password="pass:word") as known:
        assert isinstance(await known.ask(asked), Grant)
    async with client(nfvo, auth="basic", username="vnfm", password="wrong") as unknown:
        with pytest.raises(Permanent, match="Who are you") as refused:
            await unknown.ask(asked)
    assert refused.value.status == 401
    assert len(nfvo.seen("POST", "/grants")) == 2


async def test_a_token_serves_all_calls_at_once(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    nfvo.tokens = set()
    async with oauth(nfvo, scope="grant") as nfvo_client:
        await asyncio.gather(*(nfvo_client.ask(asked) for _ in range(5)))
    (token,) = nfvo.seen("POST", "/token")
    assert "scope=grant" in token.body
    assert "s3cret" not in token.body
    assert len(nfvo.granted) == 5


async def test_a_refused_token_is_renewed_once_and_the_request_sent_once_more(
    nfvo: NfvoSimulator, asked: GrantRequest
) -> None:
    nfvo.tokens = set()
    async with oauth(nfvo) as nfvo_client:
        await nfvo_client.ask(asked)
        nfvo.tokens = set()
        await nfvo_client.ask(asked)
    assert (len(nfvo.seen("POST", "/token")), len(nfvo.granted), len(nfvo.seen("POST", "/grants"))) == (2, 2, 3)


async def test_a_token_is_renewed_before_it_ends(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    nfvo.tokens, nfvo.token_life = set(), 0.05
    async with oauth(nfvo) as nfvo_client:
        await nfvo_client.ask(asked)
        await asyncio.sleep(0.05)
        await nfvo_client.ask(asked)
    assert (len(nfvo.seen("POST", "/token")), len(nfvo.seen("POST", "/grants"))) == (2, 2)


async def test_a_client_that_gets_no_token_is_told_why_without_its_secret(
    nfvo: NfvoSimulator, asked: GrantRequest
) -> None:
    async with oauth(nfvo, client_secret="wr0ng") as nfvo_client:
        with pytest.raises(Permanent, match="no token: No such client") as refused:
            await nfvo_client.ask(asked)
    assert refused.value.status == 401
    assert "wr0ng" not in str(refused.value)
    assert nfvo.seen("POST", "/grants") == []


@pytest_asyncio.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[NfvoSimulator, Path]]:
    """An NFVO that wants a client certificate, and the file that is CA, certificate and key for everybody."""
    context, pem = self_signed(tmp_path)
    context.load_verify_locations(cadata=pem)
    context.verify_mode = ssl.CERT_REQUIRED
    async with NfvoSimulator(tokens=set()).serve(context) as simulator:
        yield simulator, tmp_path / "server.pem"


async def test_a_client_certificate_is_enough_for_a_token(
    secure: tuple[NfvoSimulator, Path], asked: GrantRequest
) -> None:
    nfvo, pem = secure
    members = {"token_endpoint": f"{nfvo.url}/token", "client_id": "forestay"}
    async with client(nfvo, auth="oauth2", ca_file=pem, client_certificate=pem, **members) as known:
        assert isinstance(await known.ask(asked), Grant)
    assert "client_id=forestay" in nfvo.seen("POST", "/token")[0].body


async def test_tls_is_verified_unless_switched_off(secure: tuple[NfvoSimulator, Path], asked: GrantRequest) -> None:
    nfvo, pem = secure
    nfvo.tokens = None
    async with client(nfvo, client_certificate=pem) as suspicious:
        with pytest.raises(Permanent, match="CERTIFICATE_VERIFY_FAILED"):
            await suspicious.ask(asked)
    async with client(nfvo, client_certificate=pem, verify=False) as careless:
        assert isinstance(await careless.ask(asked), Grant)
    assert len(nfvo.journal) == 1


def test_settings_come_from_the_environment_and_are_checked() -> None:
    base = {"FORESTAY_NFVO_ENDPOINT": "https://nfvo.example/", "FORESTAY_NFVO_ZONES": "az1, az2"}
    settings = load(NfvoSettings, base)
    assert (settings.is_external, settings.nfvo_zones, settings.nfvo_verify) == (True, ("az1", "az2"), True)
    assert not load(NfvoSettings, {}).is_external
    oauth2 = base | {"FORESTAY_NFVO_AUTH": "oauth2", "FORESTAY_NFVO_TOKEN_ENDPOINT": "https://t/"}
    with pytest.raises(ConfigError, match="FORESTAY_NFVO_CLIENT_ID is not set"):
        load(NfvoSettings, oauth2)
    with pytest.raises(ConfigError, match="FORESTAY_NFVO_CLIENT_SECRET, or"):
        load(NfvoSettings, oauth2 | {"FORESTAY_NFVO_CLIENT_ID": "me"})
    secret = load(NfvoSettings, oauth2 | {"FORESTAY_NFVO_CLIENT_ID": "me", "FORESTAY_NFVO_CLIENT_SECRET": "hush"})
    assert "hush" not in repr(secret)


def test_an_unusable_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    settings = NfvoSettings(nfvo_endpoint="https://nfvo", nfvo_client_certificate=tmp_path / "x.pem")
    with pytest.raises(ConfigError, match="FORESTAY_NFVO_CLIENT_CERTIFICATE"):
        Nfvo(settings, "")


@pytest_asyncio.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[FileBlobStore]:
    store = await FileBlobStore.open(tmp_path / "blobs")
    yield store
    store.close()


@pytest.fixture
def onboarded(nfvo: NfvoSimulator) -> NfvoSimulator:
    info = {
        "id": "pkg-1",
        "vnfdId": "vnfd/1",
        "vnfProvider": "Forestay",
        "vnfProductName": "Sample",
        "vnfSoftwareVersion": "1",
        "vnfdVersion": "1",
        "operationalState": "ENABLED",
        "onboardingState": "ONBOARDED",
        "checksum": {"algorithm": "SHA-512", "hash": hashlib.sha512(PACKAGE).hexdigest()},
    }
    nfvo.packages["vnfd/1"] = (info, PACKAGE, DESCRIPTOR)
    return nfvo


async def test_a_package_comes_to_the_blob_store(onboarded: NfvoSimulator, blobs: FileBlobStore) -> None:
    async with client(onboarded) as nfvo:
        info = await nfvo.package("vnfd/1")
        blob = await nfvo.package_content("vnfd/1", blobs, checksum=info.checksum)
        vnfd = await nfvo.vnfd("vnfd/1", blobs)
    assert (info.id, blob.size, blob.digest) == ("pkg-1", len(PACKAGE), hashlib.sha256(PACKAGE).hexdigest())
    assert (await blobs.path(vnfd.digest)).read_bytes() == DESCRIPTOR
    assert [entry.headers["Version"] for entry in onboarded.journal] == ["2.1.0"] * 3
    assert onboarded.journal[1].headers["Accept"] == "application/zip"


async def test_half_a_package_is_none(onboarded: NfvoSimulator, blobs: FileBlobStore) -> None:
    onboarded.cut = True
    async with client(onboarded) as nfvo:
        with pytest.raises(Retryable):
            await nfvo.package_content("vnfd/1", blobs)
    assert [blob async for blob in blobs.list()] == []


async def test_a_package_that_is_damaged_or_too_large_is_refused(
    onboarded: NfvoSimulator, blobs: FileBlobStore
) -> None:
    async with client(onboarded, package_limit=1000) as nfvo:
        with pytest.raises(Rejected, match="larger than the 1000 bytes"):
            await nfvo.package_content("vnfd/1", blobs)
    async with client(onboarded) as nfvo:
        with pytest.raises(Permanent, match="VnfPkgInfo says feed"):
            await nfvo.package_content("vnfd/1", blobs, checksum=Checksum(algorithm="SHA-256", hash="feed"))


async def test_an_unknown_package(onboarded: NfvoSimulator) -> None:
    async with client(onboarded) as nfvo:
        with pytest.raises(Permanent, match="No such package") as missing:
            await nfvo.package("other")
    assert missing.value.status == 404

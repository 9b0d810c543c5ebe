"""Artifacts that a manifest names by a URI: fetched while their package is onboarded, checked, kept, served, deleted."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
from pathlib import Path

from tests.package_mgmt.v2.conftest import Client, Clients
from tests.package_mgmt.v2.origin import BASIC, origin
from tests.packages.third_party import csar, with_manifest, zipped

LICENCE = b"You may. " * 1000
DIGEST = hashlib.sha256(LICENCE).hexdigest()


def package_with(folder: Path, uri: str, digest: str = DIGEST) -> bytes:
    """A package whose manifest names an external artifact."""
    path = folder / "package.zip"
    zipped(with_manifest(csar(), extra=f"\nSource: {uri}\nAlgorithm: SHA-256\nHash: {digest}\n"), path)
    return path.read_bytes()


async def _empty(client: Client) -> None:
    """No blob is left, soon."""
    async with asyncio.timeout(60):
        while await client.server.blobs():
            await asyncio.sleep(0.05)


async def _failure(client: Client, path: str, content: bytes) -> str:
    assert (await client.ask("PUT", f"{path}/package_content", content)).status == 202
    info = await client.until(path, "ERROR", "ONBOARDED")
    assert info["onboardingState"] == "ERROR"
    assert info["onboardingFailureDetails"]["rule"] == "external-artifact"
    await _empty(client)
    return info["onboardingFailureDetails"]["detail"]


async def test_it_is_fetched_served_and_deleted_with_its_package(clients: Clients, tmp_path: Path) -> None:
    async with clients.running() as client, origin(LICENCE) as server:
        uri = f"{server.url}/files/LICENCE.txt?v=1"
        content = package_with(tmp_path, uri)
        path = await client.create()
        elsewhere = {"artifactUri": uri, "overrideUri": f"{server.url}/mirror", "authType": "BASIC"}
        server.authorization = BASIC
        access = elsewhere | {"paramsBasic": {"userName": "user", "password": "pass word"}}
        assert (await client.ask("PUT", f"{path}/ext_artifacts_access", {"artifact": access})).status == 200
        await client.ask("PUT", f"{path}/package_content", content)
        info = await client.until(path, "ONBOARDED", "ERROR")
        assert info["onboardingState"] == "ONBOARDED", info
        assert server.asked == [("/mirror", "", BASIC)]

        artifacts = (await client.get(f"{path}?fields=additionalArtifacts"))["additionalArtifacts"]
        (external,) = (each for each in artifacts if "artifactURI" in each)
        assert external["artifactURI"] == [uri]
        name = external["artifactPath"]
        assert name.endswith("/LICENCE.txt")
        assert await client.get(f"{path}/artifacts/{name}") == LICENCE
        part = await client.ask("GET", f"{path}/artifacts/{name}", Range="bytes=4-6")
        assert (part.status, part.body) == (206, LICENCE[4:7])
        without = zipfile.ZipFile(io.BytesIO(await client.get(f"{path}/artifacts")))
        assert name not in without.namelist()
        whole = zipfile.ZipFile(io.BytesIO(await client.get(f"{path}/artifacts?include_external_artifacts")))
        assert {*whole.namelist()} == {*without.namelist(), name}
        assert whole.read(name) == LICENCE

        assert await client.server.blobs() == {DIGEST, hashlib.sha256(content).hexdigest()}
        await client.ask("PATCH", path, {"operationalState": "DISABLED"})
        assert (await client.ask("DELETE", path)).status == 204
        await _empty(client)


async def test_what_cannot_be_had_fails_the_onboarding_and_leaves_nothing(clients: Clients, tmp_path: Path) -> None:
    async with (
        clients.running(package_fetch_deny=["127.0.0.9/32"], package_size_limit=5000) as client,
        origin(LICENCE) as server,
    ):
        path = await client.create()
        server.statuses = [404]
        assert "answered 404" in await _failure(client, path, package_with(tmp_path, f"{server.url}/gone"))
        denied = package_with(tmp_path, "http://127.0.0.9/secret")
        assert "egress policy" in await _failure(client, path, denied)
        assert "larger than the 5000 bytes" in await _failure(client, path, package_with(tmp_path, server.url))
        server.content = b"something else"
        assert f"not {DIGEST}" in await _failure(client, path, package_with(tmp_path, server.url))
        server.content = LICENCE[:4000]
        promised = hashlib.sha256(server.content).hexdigest()
        await client.ask("PUT", f"{path}/package_content", package_with(tmp_path, server.url, promised))
        assert (await client.until(path, "ONBOARDED", "ERROR"))["onboardingState"] == "ONBOARDED", "mended"

"""The corpus of packages through the whole service: third parties' onboard, bad ones leave nothing but the reason."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forestay_package_mgmt.settings import Settings

from tests.package_mgmt.service.conftest import Serve, Server
from tests.packages import bad, keys, third_party

# One of each family.
SAMPLE = (
    "no zip", "bomb of one member", "out of the package", "one name twice", "symbolic link", "alias bomb", "not UTF-8",
    "no entry", "wrong hash", "encrypted artifact", "manifest tampered", "file slipped in", "certificate expired",
    "unknown authority", "two signatures", "unknown type of SOL001", "image of nothing", "chart of nothing",
    "script is no Python", "affinity of an unknown VDU", "parameter without a source",
)  # fmt: skip


def trusting(folder: Path, **settings: Any) -> Settings:
    anchors = folder / "anchors.pem"
    anchors.write_bytes(keys.root().pem)
    return Settings(package_trust_anchors=anchors, **settings)


async def uploaded(server: Server, contents: Sequence[bytes]) -> list[dict[str, Any]]:
    """Upload contents to packages of their own, and give those once all are settled."""
    ids = [await server.create() for _ in contents]
    for package_id, content in zip(ids, contents, strict=True):
        assert await server.upload(package_id, content) == 202
    async with asyncio.timeout(110):
        # Readers yield to everybody else, so asking often would only keep them from their work.
        return [await _settled(server, package_id) for package_id in ids]


async def _settled(server: Server, package_id: str) -> dict[str, Any]:
    while (info := await server.show(package_id))["onboardingState"] == "PROCESSING":
        await asyncio.sleep(0.2)
    return info


async def test_packages_of_third_parties_onboard(serve: Serve, tmp_path: Path) -> None:
    contents = {name: third_party.write(name, tmp_path).read_bytes() for name in third_party.PACKAGES}
    async with serve(trusting(tmp_path)) as server:
        found = await uploaded(server, list(contents.values()))
        failures = {n: info for n, info in zip(contents, found, strict=True) if info["onboardingState"] != "ONBOARDED"}
        assert not failures
        (image,) = (info for name, info in zip(contents, found, strict=True) if name == "image")
        assert image["softwareImages"][0]["imagePath"] == "Files/images/sunshine.qcow2"
        signed = found[list(contents).index("signed-whole-compressed")]
        url = f"/vnfpkgm/v2/vnf_packages/{signed['id']}"
        headers = {"Version": "2.0.0"}
        async with server.http.get(f"{url}/artifacts/Definitions/vnfd.yaml", headers=headers) as response:
            assert response.status == 200
            assert b"Company.Sunshine" in await response.read()
        async with server.http.get(url, headers=headers) as response:
            rules = {finding["rule"] for finding in (await response.json())["onboardingFindings"]}
            assert rules == {"software-image-external", "base-hot-made"}


async def test_bad_packages_leave_only_the_reason(serve: Serve, tmp_path: Path) -> None:
    contents = {name: bad.write(name, tmp_path).read_bytes() for name in SAMPLE}
    async with serve(trusting(tmp_path)) as server:
        found = await uploaded(server, list(contents.values()))
        for name, info in zip(contents, found, strict=True):
            assert info["onboardingState"] == "CREATED", name
            assert "vnfdId" not in info, name
            failure = info["onboardingFailureDetails"]
            assert failure["rule"] == bad.BAD[name].rule, failure
            assert failure["findings"][0]["remedy"] in failure["detail"]
        async with asyncio.timeout(60):
            while await server.blobs() or server.unfinished_uploads():
                await asyncio.sleep(0.02)


async def test_unsigned_package_where_signatures_are_required(serve: Serve, tmp_path: Path) -> None:
    async with serve(trusting(tmp_path, package_signature_required=True)) as server:
        contents = [third_party.write(name, tmp_path).read_bytes() for name in ("tosca-meta", "signed-manifest")]
        unsigned, signed = await uploaded(server, contents)
        assert unsigned["onboardingFailureDetails"]["rule"] == "signature-missing"
        assert signed["onboardingState"] == "ONBOARDED"

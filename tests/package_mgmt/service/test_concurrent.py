"""Several at once: the same package, the same VNFD id, the same content."""

from __future__ import annotations

import asyncio
import hashlib

from forestay_package_mgmt.settings import Settings

from tests.package_mgmt.service.conftest import Serve


async def test_of_many_with_one_vnfd_id_exactly_one_is_onboarded(serve: Serve, asg: bytes) -> None:
    async with serve(Settings(package_readers=6)) as server:
        ids = [await server.create() for _ in range(6)]
        assert set(await asyncio.gather(*(server.upload(id_, asg) for id_ in ids))) == {202}
        infos = [await server.settled(id_) for id_ in ids]
        winners = [info for info in infos if info["onboardingState"] == "ONBOARDED"]
        assert len(winners) == 1
        for info in infos:
            if info is not winners[0]:
                failure = info["onboardingFailureDetails"]
                assert failure["rule"] == "vnfd-id-unique"
                assert winners[0]["id"] in failure["detail"]
                assert winners[0]["vnfdId"] in failure["detail"]
        await asyncio.sleep(0.3)
        assert await server.blobs() == {hashlib.sha256(asg).hexdigest()}, "the winner's content is theirs too"

        await server.delete(winners[0]["id"])
        loser = next(info["id"] for info in infos if info is not winners[0])
        assert await server.upload(loser, asg) == 202
        assert (await server.settled(loser))["onboardingState"] == "ONBOARDED", "the id is free again"


async def test_of_many_uploads_to_one_package_exactly_one_counts(serve: Serve, asg: bytes, two_vdus: bytes) -> None:
    contents = [asg, two_vdus] * 3
    async with serve() as server:
        package_id = await server.create()
        statuses = await asyncio.gather(*(server.upload(package_id, content) for content in contents))
        assert sorted(statuses) == [202] + [409] * 5
        info = await server.settled(package_id)
        winner = contents[statuses.index(202)]
        assert info["checksum"]["hash"] == hashlib.sha512(winner).hexdigest()
        assert await server.blobs() == {hashlib.sha256(winner).hexdigest()}


async def test_deleting_one_of_two_with_shared_content_keeps_it(serve: Serve, asg: bytes) -> None:
    async with serve() as server:
        info = await server.onboard(asg)
    async with serve(project="other") as server:
        other = await server.onboard(asg)
        await server.delete(other["id"])
        assert len(await server.blobs()) == 1
    async with serve() as server:
        async with server.http.get(f"/vnfpkgm/v1/vnf_packages/{info['id']}/package_content") as response:
            assert await response.read() == asg
        await server.delete(info["id"])
        assert await server.blobs() == set()


async def test_content_comes_and_goes_without_a_loss(serve: Serve, asg: bytes) -> None:
    """Equal content is refused and deleted here while it is uploaded there: whoever was told 202 finds it."""
    content = b"no zip, and the same each time"
    async with serve(Settings(package_readers=4)) as server:

        async def rounds() -> None:
            package_id = await server.create()
            for _ in range(3):
                assert await server.upload(package_id, content) == 202
                info = await server.settled(package_id)
                assert info["onboardingFailureDetails"]["rule"] == "zip-corrupt", info

        await asyncio.gather(*(rounds() for _ in range(4)))


async def test_a_package_can_be_deleted_while_it_is_onboarded(serve: Serve, asg: bytes) -> None:
    async with serve() as server:
        package_id = await server.create()
        assert await server.upload(package_id, asg) == 202
        assert (await server.ask("DELETE", f"/{package_id}"))[0] == 204
        assert (await server.onboard(asg))["onboardingState"] == "ONBOARDED"
        commits = await server.platform.store.load(f"pkg.package.{package_id}")
        assert b"PackageDeleted" in commits[-1].body
        assert len(await server.blobs()) == 1

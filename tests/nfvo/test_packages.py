"""Packages that only the NFVO has: fetched when a request names their VNFD, checked, kept in the log, as good as onboarded."""

from __future__ import annotations

import asyncio
import hashlib
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from forestay_events.aggregate import Aggregates
from forestay_events.commit import Commit
from forestay_lcm.app import projectors
from forestay_package_mgmt.domain.decide import PACKAGE
from forestay_package_mgmt.projections.reads import PackageReads
from forestay_sol.streams.package import PackageCreated

from tests.flow.scenario import SAMPLES, create, instantiate_body, operate
from tests.nfvo.simulator import NfvoSimulator
from tests.nfvo.test_operations import FORCEFUL, in_nova
from tests.scripts.packages import variant
from tests.scripts.test_package_change import larger
from tests.standalone.site import Reply, TestSite, site

Json = dict[str, Any]
pytestmark = pytest.mark.asyncio(loop_scope="module")

INSTANCES = "/vnflcm/v2/vnf_instances"


class Shelf:
    """A Forestay that knows no package, and an NFVO that has what a test puts there."""

    def __init__(self, forestay: TestSite, nfvo: NfvoSimulator) -> None:
        self.forestay = forestay
        self.nfvo = nfvo

    def put(self, csar: Path, vnfd_id: str, **members: Any) -> str:
        self.nfvo.onboard(csar.read_bytes(), vnfd_id, **members)
        return vnfd_id

    def sample(self, directory: Path, **members: Any) -> str:
        """Onboard a good package; its vnfdId."""
        vnfd_id = str(uuid4())
        return self.put(variant(directory, "sample-asg", name=vnfd_id, vnfd_id=vnfd_id), vnfd_id, **members)

    async def ask_once(self, vnfd_id: str) -> Reply:
        """Create a VNF instance."""
        return await self.forestay.ask("POST", INSTANCES, {"vnfdId": vnfd_id})

    async def ask(self, vnfd_id: str) -> Reply:
        """Create a VNF instance; again, as long as the answer is that its package still comes."""
        async with asyncio.timeout(60):
            while (reply := await self.ask_once(vnfd_id)).status == 503 and "still being fetched" in reply.sentence:
                pass
        return reply

    def fetches(self, vnfd_id: str) -> int:
        return len(self.nfvo.seen("GET", f"{vnfd_id}/package_content"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole_shelf() -> AsyncIterator[Shelf]:
    async with NfvoSimulator().serve() as nfvo:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"ENDPOINT": nfvo.root, "TIMEOUT": "10", "PACKAGE_LIMIT": "2000000"}.items():
                patch.setenv(f"FORESTAY_NFVO_{name}", value)
            async with site() as forestay:
                await forestay.api.send("POST", "/v1.0/vims", forestay.cloud.vim())
                yield Shelf(forestay, nfvo)


@pytest_asyncio.fixture(loop_scope="module")
async def shelf(whole_shelf: Shelf) -> AsyncIterator[Shelf]:
    nfvo = whole_shelf.nfvo
    nfvo.change, nfvo.cut, nfvo.delay, nfvo.tokens = in_nova, False, 0.0, None
    yield whole_shelf


async def test_a_whole_life_from_a_package_of_the_nfvo(shelf: Shelf, tmp_path: Path) -> None:
    api, cloud = shelf.forestay.api, shelf.forestay.cloud
    first = shelf.sample(tmp_path)
    second = str(uuid4())
    shelf.put(variant(tmp_path, "sample-asg", name="second", vnfd_id=second, edit=larger), second)
    vnf = await create(api, first)
    assert (await api.send("GET", vnf))["vnfProductName"]
    assert (await operate(api, vnf, "instantiate", await instantiate_body(cloud, SAMPLES[0])))[
        "operationState"
    ] == "COMPLETED"
    params = {"upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU1"}]}
    changed = await operate(api, vnf, "change_vnfpkg", {"vnfdId": second, "additionalParams": params})
    assert changed["operationState"] == "COMPLETED", changed
    shown = await api.send("GET", vnf)
    assert (shown["vnfdId"], shown["vnfSoftwareVersion"]) == (second, "2.0")
    assert {vnfc["metadata"]["flavor"] for vnfc in shown["instantiatedVnfInfo"]["vnfcResourceInfo"]} == {"m1.small"}
    del shelf.nfvo.packages[first], shelf.nfvo.packages[second]
    assert (await operate(api, vnf, "terminate", FORCEFUL))["operationState"] == "COMPLETED"
    assert await cloud.leftovers() == []
    await create(api, first)
    assert (shelf.fetches(first), shelf.fetches(second)) == (1, 1)


async def test_a_modification_may_name_it(shelf: Shelf, tmp_path: Path) -> None:
    api = shelf.forestay.api
    first, second = shelf.sample(tmp_path), shelf.sample(tmp_path)
    vnf = await create(api, first)
    await api.send("PATCH", vnf, {"vnfdId": second})
    async with asyncio.timeout(60):
        while (await api.send("GET", vnf))["vnfdId"] != second:
            await asyncio.sleep(0.05)


async def test_many_at_once_fetch_once(shelf: Shelf, tmp_path: Path) -> None:
    shelf.nfvo.delay = 0.3
    vnfd_id = shelf.sample(tmp_path)
    assert {reply.status for reply in await asyncio.gather(*(shelf.ask(vnfd_id) for _ in range(8)))} == {201}
    assert shelf.fetches(vnfd_id) == 1


async def test_all_of_it_comes_back_from_the_log(shelf: Shelf, tmp_path: Path) -> None:
    vnfd_id = shelf.sample(tmp_path)
    assert (await shelf.ask(vnfd_id)).status == 201
    platform = shelf.forestay.platform
    rows = (
        "SELECT vnfd_id, project, state, model, digest FROM {}.vnfd JOIN {}.package_content USING (package_id)"
        " WHERE vnfd_id = $1"
    )
    kept = await platform.pool.fetch(rows.format("lcm", "lcm"), vnfd_id)
    [fold] = [
        projection
        for projection in projectors(platform, dispatch=False)[0].projections
        if type(projection).__name__ == "FetchedVnfdProjection"
    ]
    async with platform.pool.acquire() as connection, connection.transaction():
        await connection.execute("CREATE SCHEMA again")
        for table in fold.tables.format(schema="again").split(";")[:-1]:
            await connection.execute(table)
        subjects = await connection.fetch("SELECT DISTINCT subject FROM lcm.commit WHERE subject LIKE 'lcm.vnfd.%'")
        commits = [stored for row in subjects for stored in await platform.store.load(row["subject"])]
        for _ in range(2):
            await fold.apply(connection, "again", commits)
        assert await connection.fetch(rows.format("again", "again"), vnfd_id) == kept
        assert len(kept) == 1
        await connection.execute("DROP SCHEMA again CASCADE")


async def test_a_fetch_that_takes_long_goes_on_without_the_request(shelf: Shelf, tmp_path: Path) -> None:
    shelf.nfvo.delay = 11
    vnfd_id = shelf.sample(tmp_path)
    first = await shelf.ask_once(vnfd_id)
    assert (first.status, int(first.headers["Retry-After"])) == (503, 5)
    assert "still being fetched" in first.sentence
    assert (await shelf.ask(vnfd_id)).status == 201
    assert shelf.fetches(vnfd_id) == 1


async def test_nobody_has_it(shelf: Shelf) -> None:
    reply = await shelf.ask("nobody-has-this")
    assert reply.status == 422
    assert "No such package." in reply.sentence
    assert reply.body["invalidParams"][0]["pointer"] == "/vnfdId"


async def test_what_the_nfvo_has_disabled_is_not_used(shelf: Shelf, tmp_path: Path) -> None:
    reply = await shelf.ask(shelf.sample(tmp_path, operationalState="DISABLED"))
    assert (reply.status, "not ENABLED" in reply.sentence) == (422, True)


async def test_credentials_of_forestay_are_none_of_the_clients_business(shelf: Shelf) -> None:
    shelf.nfvo.tokens = set()
    reply = await shelf.ask("secret")
    assert (reply.status, "Who are you?" in reply.sentence) == (503, True)


def _a_package() -> Commit:
    created = PACKAGE.codec.encode([PackageCreated()])
    return Commit(
        id="a", stream="PKG", kind="package", aggregate_id=str(uuid4()), version=1, at=datetime.now(UTC), project="p",
        actor="tester", reason="", events=created,
    )  # fmt: skip


def _no_zip(directory: Path) -> bytes:
    return b"PK\x03\x04 but not for long"


def _slip(directory: Path) -> bytes:
    path = directory / "slip.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../etc/passwd", "root::0:0")
    return path.read_bytes()


def _bomb(directory: Path) -> bytes:
    path = directory / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("TOSCA-Metadata/TOSCA.meta", bytes(1 << 30))
    return path.read_bytes()


def _too_large(directory: Path) -> bytes:
    return bytes(2_000_001)


@pytest.mark.parametrize("make", [_no_zip, _slip, _bomb, _too_large])
async def test_hostile_content_is_refused_with_the_reason(
    shelf: Shelf, tmp_path: Path, make: Callable[[Path], bytes]
) -> None:
    (tmp_path / "hostile").write_bytes(make(tmp_path))
    vnfd_id = shelf.put(tmp_path / "hostile", str(uuid4()))
    reply = await shelf.ask(vnfd_id)
    assert reply.status == 422, reply
    assert reply.sentence.startswith(f"The VNF package of vnfdId {vnfd_id} that the NFVO has cannot be used: ")
    assert ("rule" in reply.body) == (make is not _too_large)
    assert await shelf.forestay.platform.pool.fetchval("SELECT count(*) FROM lcm.vnfd WHERE vnfd_id = $1", vnfd_id) == 0


@pytest.mark.parametrize(
    ("members", "status", "words"),
    [
        ({"checksum": {"algorithm": "SHA-256", "hash": "00"}}, 503, "digest"),
        ({"vnfdId": "another"}, 422, "VnfPkgInfo has the vnfdId another"),
    ],
)
async def test_what_is_not_as_it_says_is_refused(
    shelf: Shelf, tmp_path: Path, members: Json, status: int, words: str
) -> None:
    reply = await shelf.ask(shelf.sample(tmp_path, **members))
    assert reply.status == status, reply
    assert words in reply.sentence


async def test_another_vnfd_than_was_asked_for(shelf: Shelf, tmp_path: Path) -> None:
    inside = str(uuid4())
    vnfd_id = shelf.put(variant(tmp_path, "sample-asg", name="other", vnfd_id=inside), str(uuid4()))
    reply = await shelf.ask(vnfd_id)
    assert (reply.status, f"VNFD has the id {inside}" in reply.sentence) == (422, True)


async def test_a_cut_connection_is_tried_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.nfvo.cut = True
    vnfd_id = shelf.sample(tmp_path)
    assert (await shelf.ask(vnfd_id)).status == 503
    shelf.nfvo.cut = False
    assert (await shelf.ask(vnfd_id)).status == 201


async def test_the_sweep_of_orphans_knows_what_was_fetched(shelf: Shelf, tmp_path: Path) -> None:
    vnfd_id = shelf.sample(tmp_path)
    assert (await shelf.ask(vnfd_id)).status == 201
    platform = shelf.forestay.platform
    digest = hashlib.sha256(shelf.nfvo.packages[vnfd_id][1]).hexdigest()
    reads = PackageReads(platform, Aggregates(platform.store, PACKAGE, platform.clock))
    await platform.store.append(_a_package(), after=0)  # over an empty log nothing is swept
    assert await reads.used([digest, "0" * 64]) == {digest}

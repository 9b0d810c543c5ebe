"""VNF snapshots over HTTP, with the real driver on a simulated cloud: taken, reverted to, deleted, and what goes wrong."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from forestay_csar import read_package
from forestay_events.config import BaseConfig
from forestay_events.platform import Platform, open_platform
from forestay_lcm import app
from forestay_simvim import CallFault, OpenStackSimulator, SimConfig
from forestay_sol.service import serving
from forestay_standalone.embedded import EmbeddedNats

from tests.lcm.api.client import INSTANCES, OP_OCCS, Answer, Client, client
from tests.lcm.api.test_instances import operation
from tests.lcm.engine.running import configuration, onboard
from tests.lcm.openstack.conftest import connection, ext_cp, ext_link
from tests.packages.build import build_csar

SNAPSHOTS = "/vnflcm/v2/vnf_snapshots"
PACKAGES = Path(__file__).parents[2] / "packages"


class Site:
    """A cloud, and an LCM with a package for it."""

    def __init__(self, sim: OpenStackSimulator, platform: Platform, api: Client) -> None:
        self.sim, self.platform, self.api = sim, platform, api

    async def instantiated(self, package: str = "sample-asg", **members: Any) -> str:
        """The path of a new VNF instance; its VIM connection has the credentials in itself."""
        vnfd = read_package(build_csar(PACKAGES / package, self.platform.config.data_dir / "package.zip")).vnfd
        await onboard(self.platform, vnfd)
        path = f"{INSTANCES}/{await self.api.create(vnfdId=vnfd.vnfd_id)}"
        private = self.sim.cloud.neutron.networks.find(name="private")[0]
        cps = [ext_cp("VDU1_CP1")]
        if package == "sample-two-vdus":
            cps = [ext_cp("VDU1_CP1", fixed="10.10.0.77", subnet=private["subnets"][0]), ext_cp("VDU2_CP1")]
        body = {
            "flavourId": "simple",
            "extVirtualLinks": [ext_link(*cps, network=private["id"])],
            "vimConnectionInfo": {"vim1": msgspec.to_builtins(connection(self.sim))},
        } | members
        await self.completed(await self.api.post(f"{path}/instantiate", body))
        return path

    async def completed(self, accepted: Answer) -> dict[str, Any]:
        return await operation(self.api, accepted.op_id, "COMPLETED")

    async def empty(self) -> str:
        created = await self.api.post(SNAPSHOTS, {})
        assert created.status == 201, created.body
        return created.body["id"]

    async def take(self, path: str, snapshot: str, **members: Any) -> Answer:
        return await self.api.post(f"{path}/create_snapshot", {"vnfSnapshotInfoId": snapshot} | members)

    async def taken(self, path: str, **members: Any) -> str:
        snapshot = await self.empty()
        await self.completed(await self.take(path, snapshot, **members))
        return snapshot

    async def revert(self, path: str, snapshot: str) -> Answer:
        return await self.api.post(f"{path}/revert_to_snapshot", {"vnfSnapshotInfoId": snapshot})

    async def failed(self, accepted: Answer) -> dict[str, Any]:
        return await operation(self.api, accepted.op_id, "FAILED_TEMP")

    async def handle(self, accepted: Answer, how: str, state: str) -> None:
        answer = await self.api.post(f"{OP_OCCS}/{accepted.op_id}/{how}")
        assert answer.status in (200, 202), answer.body
        await operation(self.api, accepted.op_id, state)

    async def shown(self, snapshot: str) -> dict[str, Any]:
        answer = await self.api.get(f"{SNAPSHOTS}/{snapshot}")
        assert answer.status == 200, answer.body
        return answer.body

    async def vnfcs(self, path: str) -> dict[Any, str]:
        """The server of each VNFC, by what the VNFC keeps when it gets another: its number, or its name in its group."""
        info = (await self.api.get(path)).body["instantiatedVnfInfo"]
        known = {vnfc["id"]: vnfc["metadata"] for vnfc in info["vnfcResourceInfo"]}
        return {meta.get("vdu_idx", meta.get("parent_resource_name")): server for server, meta in known.items()}

    def left(self, snapshot: str) -> int:
        """How many images and volume snapshots of it are in the cloud."""
        images = [row for row in self.sim.cloud.glance.images if snapshot in (row["name"] or "")]
        return len(images) + len([row for row in self.sim.cloud.cinder.snapshots if snapshot in (row["name"] or "")])

    def servers(self) -> list[dict[str, Any]]:
        return list(self.sim.cloud.nova.servers)


@asynccontextmanager
async def site_of(config: BaseConfig, sim: OpenStackSimulator, *, worker: bool = True) -> AsyncGenerator[Site]:
    async with open_platform(config, "lcm") as platform:
        services = [await app.build(platform), *([await app.build_openstack_worker(platform)] if worker else [])]
        async with serving(platform, services, "lcm") as url, client(url) as api:
            yield Site(sim, platform, api)


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[OpenStackSimulator]:
    async with OpenStackSimulator(SimConfig()).serve() as sim:
        yield sim


@pytest_asyncio.fixture
async def bare(nats_server: EmbeddedNats, database: str, tmp_data_dir: Path) -> BaseConfig:
    return configuration(nats_server.url, database, tmp_data_dir)


@pytest_asyncio.fixture
async def site(bare: BaseConfig, sim: OpenStackSimulator) -> AsyncIterator[Site]:
    async with site_of(bare, sim) as site:
        yield site


async def test_taken_reverted_to_and_deleted(site: Site) -> None:
    path = await site.instantiated()
    [server] = site.servers()
    original, snapshot = server["image"]["id"], await site.empty()
    done = await site.completed(await site.take(path, snapshot, userDefinedData={"why": "before the upgrade"}))
    assert (done["operation"], "grantId" in done, done["resourceChanges"]) == ("CREATE_SNAPSHOT", True, {})
    shown = await site.shown(snapshot)
    content = shown["vnfSnapshot"]
    assert shown["_links"]["takenFrom"]["href"].endswith(path)
    assert content["vnfInstanceId"] == path.rpartition("/")[2] == content["vnfInstance"]["id"]
    assert content["userDefinedData"] == {"why": "before the upgrade"}
    assert content["creationStartedAt"] < content["creationFinishedAt"]
    [vnfc] = content["vnfcSnapshots"]
    assert vnfc["vnfcResourceInfoId"] == server["id"]
    image = vnfc["computeSnapshotResource"]["resourceId"]
    assert [row["status"] for row in site.sim.cloud.glance.images if row["id"] == image] == ["active"]
    assert "password" not in str(content)

    await site.completed(await site.api.post(f"{path}/operate", {"changeStateTo": "STOPPED"}))
    done = await site.completed(await site.revert(path, snapshot))
    changed = done["resourceChanges"]["affectedVnfcs"]
    assert [(item["id"], item["changeType"]) for item in changed] == [(server["id"], "MODIFIED")]
    assert site.servers()[0]["image"]["id"] == image != original

    deleted = await site.api.delete(f"{SNAPSHOTS}/{snapshot}")
    assert (deleted.status, deleted.body) == (204, None)
    (await site.api.get(f"{SNAPSHOTS}/{snapshot}")).problem(404)
    assert site.left(snapshot) == 0


TWO = {"instantiationLevelId": "instantiation_level_2"}
ALL = {"additionalParams": {"all": True}}


@pytest.fixture(params=["group", "numbers"])
def package(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """VNFCs that are members of a group, or have numbers, as without a template of the package."""
    if request.param == "group":
        return "sample-asg"
    shutil.copytree(PACKAGES / "sample-asg", tmp_path / "numbered", ignore=shutil.ignore_patterns("BaseHOT"))
    return str(tmp_path / "numbered")


@pytest.mark.parametrize("how", [{}, ALL], ids=["servers", "stack"])
async def test_a_vnf_that_was_healed_since_comes_back(site: Site, package: str, how: dict[str, Any]) -> None:
    path = await site.instantiated(package)
    await site.completed(await site.api.post(f"{path}/scale", {"type": "SCALE_OUT", "aspectId": "VDU1_scale"}))
    snapshot, before = await site.taken(path), await site.vnfcs(path)
    parts = (await site.shown(snapshot))["vnfSnapshot"]["vnfcSnapshots"]
    images = {part["vnfcResourceInfoId"]: part["computeSnapshotResource"]["resourceId"] for part in parts}
    await site.completed(await site.api.post(f"{path}/heal", how))
    now = await site.vnfcs(path)
    assert len(now) == len(before) == 2
    assert not {*now.values()} & {*before.values()}
    done = await site.completed(await site.revert(path, snapshot))
    assert {item["id"] for item in done["resourceChanges"]["affectedVnfcs"]} == {*now.values()}
    booted = {row["id"]: row["image"]["id"] for row in site.servers()}
    assert {*booted.values()} == {*images.values()}
    if (package, how) != ("sample-asg", ALL):  # who is who in a group that was made anew, nobody can tell
        assert {key: booted[server] for key, server in now.items()} == {key: images[before[key]] for key in before}
    assert (await site.api.delete(f"{SNAPSHOTS}/{snapshot}")).status == 204
    assert site.left(snapshot) == 0


async def test_a_vnf_that_was_scaled_since_is_scaled_back_first(site: Site, package: str) -> None:
    path = await site.instantiated(package, **TWO)
    snapshot = await site.taken(path)
    await site.completed(await site.api.post(f"{path}/scale", {"type": "SCALE_IN", "aspectId": "VDU1_scale"}))
    detail = (await site.revert(path, snapshot)).problem(409)["detail"]
    assert "scale VDU1_scale to level 2 first" in detail
    level = {"scaleInfo": [{"aspectId": "VDU1_scale", "scaleLevel": 2}]}
    await site.completed(await site.api.post(f"{path}/scale_to_level", level))
    done = await site.completed(await site.revert(path, snapshot))
    assert len(done["resourceChanges"]["affectedVnfcs"]) == len(site.servers()) == 3


async def test_a_snapshot_outlives_its_vnf(site: Site) -> None:
    """And with it the credentials that the VNF had; its own data key goes when it does."""
    path = await site.instantiated()
    snapshot = await site.taken(path)
    await site.completed(await site.api.post(f"{path}/terminate", {"terminationType": "FORCEFUL"}))
    assert (await site.api.delete(path)).status == 204
    async with asyncio.timeout(60):  # until the VNF's data key is gone
        while await site.platform.pool.fetchval("SELECT count(*) FROM lcm.shredding"):
            await asyncio.sleep(0.05)
    assert (await site.shown(snapshot))["vnfSnapshot"]["vnfcSnapshots"]
    assert site.left(snapshot) == 1
    assert (await site.api.delete(f"{SNAPSHOTS}/{snapshot}")).status == 204
    assert site.left(snapshot) == 0
    password = site.sim.openrc()["OS_PASSWORD"]
    for table in ("vnf", "vnf_snapshot", "op_occ", "commit"):
        rows = await site.platform.pool.fetch(f"SELECT * FROM lcm.{table}")  # noqa: S608
        assert password not in str(rows)


async def test_one_of_another_vnf_is_nothing_to_revert_to(site: Site) -> None:
    path, other = await site.instantiated(), await site.instantiated()
    snapshot = await site.taken(path)
    assert "taken of vnfInstance" in (await site.revert(other, snapshot)).problem(409)["detail"]
    assert "filled already" in (await site.take(other, snapshot)).problem(409)["detail"]


async def test_a_server_on_a_volume_is_saved_but_not_reverted(site: Site) -> None:
    path = await site.instantiated("sample-two-vdus")
    snapshot = await site.taken(path)
    parts = (await site.shown(snapshot))["vnfSnapshot"]["vnfcSnapshots"]
    assert sorted("computeSnapshotResource" in part for part in parts) == [False, True]
    assert site.left(snapshot) == 2
    assert "boots from a volume" in (await site.revert(path, snapshot)).problem(409)["detail"]
    assert (await site.api.delete(f"{SNAPSHOTS}/{snapshot}")).status == 204
    assert site.left(snapshot) == 0


async def test_a_volume_goes_only_after_its_snapshots(site: Site) -> None:
    path = await site.instantiated("sample-two-vdus")
    snapshot = await site.taken(path)
    accepted = await site.api.post(f"{path}/terminate", {"terminationType": "FORCEFUL"})
    assert "have snapshots" in (await site.failed(accepted))["error"]["detail"]
    assert (await site.api.delete(f"{SNAPSHOTS}/{snapshot}")).status == 204
    await site.handle(accepted, "retry", "COMPLETED")
    assert list(site.sim.cloud.cinder.volumes) == []


class TestTakingFails:
    FAULTS = (
        CallFault(
            service="nova", method="POST", path="/action", status=403, message="Policy doesn't allow createImage."
        ),
        CallFault(service="glance", method="GET", path="/v2/images", status=403, message="Not for you.", skip=1),
    )

    async def fail(self, site: Site, fault: CallFault) -> tuple[str, str, Answer]:
        path, snapshot = await site.instantiated(), await site.empty()
        site.sim.faults.add(msgspec.structs.replace(fault))
        accepted = await site.take(path, snapshot)
        error = (await site.failed(accepted))["error"]
        assert fault.message in error["detail"]
        assert error["step"] == ("create-snapshot" if fault.service == "nova" else "await-snapshot")
        in_use = (await site.api.delete(f"{SNAPSHOTS}/{snapshot}")).problem(409)
        assert in_use["lcmOpOcc"] == {"id": accepted.op_id}
        return path, snapshot, accepted

    @pytest.mark.parametrize("fault", FAULTS, ids=["create", "await"])
    async def test_then_retry(self, site: Site, fault: CallFault) -> None:
        _, snapshot, accepted = await self.fail(site, fault)
        await site.handle(accepted, "retry", "COMPLETED")
        assert "vnfSnapshot" in await site.shown(snapshot)
        assert site.left(snapshot) == 1

    @pytest.mark.parametrize("fault", FAULTS, ids=["create", "await"])
    async def test_then_rollback(self, site: Site, fault: CallFault) -> None:
        path, snapshot, accepted = await self.fail(site, fault)
        await site.handle(accepted, "rollback", "ROLLED_BACK")
        assert "vnfSnapshot" not in await site.shown(snapshot)
        assert site.left(snapshot) == 0
        await site.completed(await site.take(path, snapshot))

    @pytest.mark.parametrize("fault", FAULTS, ids=["create", "await"])
    async def test_then_fail(self, site: Site, fault: CallFault) -> None:
        path, snapshot, accepted = await self.fail(site, fault)
        await site.handle(accepted, "fail", "FAILED")
        assert "left half made" in (await site.take(path, snapshot)).problem(409)["detail"]
        assert (await site.api.delete(f"{SNAPSHOTS}/{snapshot}")).status == 204
        assert site.left(snapshot) == 0


class TestRevertingFails:
    FAULT = CallFault(
        service="nova", method="POST", path="/action", status=403, message="Policy doesn't allow rebuild."
    )

    async def test_then_retry_but_no_rollback(self, site: Site) -> None:
        path = await site.instantiated()
        snapshot = await site.taken(path)
        site.sim.faults.add(self.FAULT)
        accepted = await site.revert(path, snapshot)
        assert "doesn't allow rebuild" in (await site.failed(accepted))["error"]["detail"]
        (await site.api.post(f"{OP_OCCS}/{accepted.op_id}/rollback")).problem(409)
        await site.handle(accepted, "retry", "COMPLETED")
        assert len(site.sim.journal.effects("server rebuild")) == 1

    async def test_then_fail_and_another_revert(self, site: Site) -> None:
        path = await site.instantiated()
        snapshot = await site.taken(path)
        site.sim.faults.add(msgspec.structs.replace(self.FAULT, hits=0))
        accepted = await site.revert(path, snapshot)
        await site.failed(accepted)
        await site.handle(accepted, "fail", "FAILED")
        await site.completed(await site.revert(path, snapshot))
        assert (await site.api.delete(f"{SNAPSHOTS}/{snapshot}")).status == 204


class TestDeletingFails:
    async def test_what_the_vim_refuses_is_shown_and_can_be_done_again(self, site: Site) -> None:
        snapshot = await site.taken(await site.instantiated())
        site.sim.faults.add(CallFault(service="glance", method="DELETE", status=403, message="Image is protected."))
        assert "Image is protected" in (await site.api.delete(f"{SNAPSHOTS}/{snapshot}")).problem(500)["detail"]
        deletion = (await site.shown(snapshot))["deletion"]
        assert (deletion["state"], deletion["error"]["status"]) == ("FAILED", 403)
        assert site.left(snapshot) == 1
        assert (await site.api.delete(f"{SNAPSHOTS}/{snapshot}")).status == 204
        assert site.left(snapshot) == 0

    @pytest.mark.parametrize("effect", ["status", "reset"])
    async def test_a_vim_that_is_away_is_waited_for(self, site: Site, effect: Any) -> None:
        snapshot = await site.taken(await site.instantiated())
        site.sim.faults.add(CallFault(service="glance", method="DELETE", effect=effect, times=2))
        assert (await site.api.delete(f"{SNAPSHOTS}/{snapshot}")).status == 204
        assert site.left(snapshot) == 0

    async def test_without_a_worker_it_goes_on_later(
        self, bare: BaseConfig, sim: OpenStackSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with site_of(bare, sim) as site:
            path = await site.instantiated()
            snapshot = await site.taken(path)
        monkeypatch.setattr("forestay_lcm.vnf_snapshots.api._PATIENCE", 0.3)
        async with site_of(bare, sim, worker=False) as site:
            assert (await site.api.delete(f"{SNAPSHOTS}/{snapshot}")).status == 202
            assert (await site.shown(snapshot))["deletion"]["state"] == "PROCESSING"
            assert "being deleted" in (await site.revert(path, snapshot)).problem(409)["detail"]
            # The queue itself is lost: whoever starts next finds in the read model what is open.
            await site.platform.nats.js.purge_stream("WORK")
        async with site_of(bare, sim) as site, asyncio.timeout(60):
            while (await site.api.get(f"{SNAPSHOTS}/{snapshot}")).status != 404:
                await asyncio.sleep(0.1)
            assert site.left(snapshot) == 0

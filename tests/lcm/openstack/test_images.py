"""Images of packages: one in Glance for all VNFs that use it, whoever dies on the way, and none when nobody is left."""

from __future__ import annotations

import asyncio
import random
import zipfile
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from forestay_events.blobs import FileBlobStore
from forestay_events.errors import ForestayError, Permanent, Retryable, UnknownOutcome
from forestay_lcm.adapters.openstack.clients import glance
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.images import ImageJob, delete_images, upload_images
from forestay_lcm.adapters.openstack.packaged import Package, packaged_images
from forestay_lcm.executor import Again, Confirmed, Superseded
from forestay_simvim import CallFault, OpenStackSimulator, SimConfig
from forestay_sol.vnfd import (
    Artifact,
    Checksum,
    Flavour,
    InstantiationLevel,
    SoftwareImage,
    Vdu,
    VirtualStorage,
    Vnfd,
)
from forestay_sol.vnflcm import VimConnectionInfo

PATH = "Files/images/app.img"
CONTENT = random.Random(7).randbytes(3 << 20)
GIB, MIB = 1 << 30, 1 << 20


def vnfd(*, name: str = "app", digest: str = "ab12", path: str = PATH) -> Vnfd:
    """A VNFD whose VDU and storage use one image file; another VDU uses an image that the VIM has."""
    shipped = SoftwareImage(
        id="VDU1", name=name, version="1", disk_format="qcow2", min_disk=3 * GIB - 1, min_ram=256 * MIB, path=path
    )
    return Vnfd(
        vnfd_id="d",
        provider="p",
        product_name="n",
        software_version="1",
        vnfd_version="1",
        artifacts={PATH: Artifact(path=PATH, checksum=Checksum(algorithm="SHA-256", hash=digest))},
        flavours={
            "simple": Flavour(
                id="simple",
                vdus={
                    "VDU1": Vdu(id="VDU1", name="1", software_image=shipped),
                    "VDU2": Vdu(
                        id="VDU2", name="2", software_image=SoftwareImage(id="VDU2", name="cirros", version="1")
                    ),
                },
                storages={
                    "Disk": VirtualStorage(
                        id="Disk",
                        kind="VirtualBlockStorage",
                        software_image=msgspec.structs.replace(shipped, id="Disk"),
                    )
                },
                instantiation_levels={"one": InstantiationLevel(id="one", vdu_counts={"VDU1": 1, "VDU2": 1})},
            )
        },
    )


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[OpenStackSimulator]:
    async with OpenStackSimulator(SimConfig()).serve() as sim:
        yield sim


@pytest_asyncio.fixture
async def cloud(sim: OpenStackSimulator) -> AsyncIterator[Cloud]:
    rc = sim.openrc()
    connection = VimConnectionInfo(
        vim_type="ETSINFV.OPENSTACK_KEYSTONE.V_3",
        interface_info={"endpoint": rc["OS_AUTH_URL"]},
        access_info={"username": rc["OS_USERNAME"], "password": rc["OS_PASSWORD"], "project": rc["OS_PROJECT_NAME"]},
    )
    async with Clouds(timeout=5) as clouds:
        yield clouds.cloud(connection)


@pytest_asyncio.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[FileBlobStore]:
    store = await FileBlobStore.open(tmp_path / "blobs")
    yield store
    store.close()


@pytest_asyncio.fixture
async def csar(blobs: FileBlobStore, tmp_path: Path) -> str:
    """The digest of a package with the image."""
    with zipfile.ZipFile(tmp_path / "csar.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(PATH, CONTENT)
    return await store(blobs, (tmp_path / "csar.zip").read_bytes())


async def store(blobs: FileBlobStore, content: bytes) -> str:
    async with blobs.writer(limit=1 << 30) as writer:
        await writer.write(content)
        return (await writer.commit()).digest


async def _pass() -> None:
    """A fence that lets everything through."""


def job(blobs: FileBlobStore, csar: str, vnf: str = "v1", *, op: str = "", descriptor: Vnfd | None = None) -> ImageJob:
    descriptor = descriptor or vnfd()
    return ImageJob(
        vnf_id=vnf,
        op_id=op or f"op-of-{vnf}",
        fence=_pass,
        images=packaged_images(descriptor, descriptor.flavour(), csar),
        package=Package(blobs, csar),
    )


async def upload(cloud: Cloud, job: ImageJob) -> dict[str, str]:
    """Take the step until it is decided, as the engine does."""
    async with asyncio.timeout(60):
        while True:
            try:
                outcome = await upload_images(cloud, job)
            except (Retryable, UnknownOutcome):
                outcome = Again(0)
            if isinstance(outcome, Confirmed):
                return outcome.result["images"]
            await asyncio.sleep(0.01)


async def delete(cloud: Cloud, vnf: str) -> None:
    assert isinstance(await delete_images(cloud, ImageJob(vnf_id=vnf, op_id="end", fence=_pass)), Confirmed)


def images(sim: OpenStackSimulator, name: str = "app") -> list[dict[str, Any]]:
    return list(sim.cloud.glance.images.find(name=name))


def put(sim: OpenStackSimulator, status: str, *tags: str, age: timedelta = timedelta()) -> str:
    """An image that somebody has left behind."""
    at = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    project = next(row["owner"] for row in images(sim))
    given = {"name": "app", "visibility": "private", "tags": ["forestay", "content-sha-256-ab12", *tags]}
    row = sim.cloud.glance.create(project, given)
    sim.cloud.glance.images.change(row, status=status, updated_at=at)
    return row["id"]


async def test_tags_are_looked_for_on_all_pages(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    images = glance.Glance(cloud)
    for number in range(30):
        await images.create(name=f"image {number}", tags=("many",), container_format="bare", disk_format="raw")
    reply = await cloud.request("image", "GET", "/v2/images", query={"tag": "many"})
    assert len(reply.body["images"]) == 25, "what Glance shows to who does not ask for more"
    monkeypatch.setattr(glance, "PAGE", 8)
    assert len({image.id for image in await images.tagged("many")}) == 30


async def test_an_image_comes_from_the_package_with_all_that_the_vnfd_says(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    ids = await upload(cloud, job(blobs, csar))
    (image,) = images(sim)
    assert ids == {"VDU1": image["id"], "Disk": image["id"]}
    assert {key: image[key] for key in ("status", "visibility", "disk_format", "min_disk", "min_ram", "size")} == {
        "status": "active", "visibility": "private", "disk_format": "qcow2", "min_disk": 3, "min_ram": 256, "size": len(CONTENT),
    }  # fmt: skip
    assert set(image["tags"]) == {"forestay", "content-sha-256-ab12", "op-op-of-v1", "vnf-v1"}
    assert sim.cloud.glance.data[image["id"]] == CONTENT


async def test_vnfs_share_an_image_and_the_last_one_takes_it_along(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    first, second = await upload(cloud, job(blobs, csar, "v1")), await upload(cloud, job(blobs, csar, "v2"))
    assert first == second
    await delete(cloud, "v1")
    (image,) = images(sim)
    assert [tag for tag in image["tags"] if tag.startswith(("vnf-", "deleting-"))] == ["vnf-v2"]
    await delete(cloud, "v2")
    await delete(cloud, "v2")
    assert images(sim) == []


async def test_more_vnfs_than_an_image_has_room_for_share_the_next(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    """Glance lets an image have 128 tags, three of which are not VNFs."""
    assert sim.cloud.quota.limit("image_tags") == 128
    ids = [(await upload(cloud, job(blobs, csar, f"v{number}")))["VDU1"] for number in range(130)]
    assert Counter(Counter(ids).values()) == Counter((125, 5))
    assert (await upload(cloud, job(blobs, csar, "v129")))["VDU1"] == ids[129], "another try finds the same"
    for number in range(130):
        await delete(cloud, f"v{number}")
    assert images(sim) == []


async def test_a_crowd_comes_and_goes_though_images_are_full(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    sim.cloud.settings.quota["image_tags"] = 8  # three of which are not VNFs
    ids = await asyncio.gather(*(upload(cloud, job(blobs, csar, f"v{number}")) for number in range(20)))
    there = {image["id"]: image for image in images(sim)}
    for number, used in enumerate(ids):
        assert f"vnf-v{number}" in there[used["VDU1"]]["tags"]
    assert len(there) == 4
    await asyncio.gather(*(_let_go(cloud, f"v{number}") for number in range(20)))
    assert images(sim) == []


async def _let_go(cloud: Cloud, vnf: str) -> None:
    """As the engine does."""
    while True:
        try:
            return await delete(cloud, vnf)
        except Retryable:
            await asyncio.sleep(0.01)


async def test_another_content_or_name_is_another_image(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    await upload(cloud, job(blobs, csar, "v1"))
    await upload(cloud, job(blobs, csar, "v2", descriptor=vnfd(digest="cd34")))
    await upload(cloud, job(blobs, csar, "v3", descriptor=vnfd(name="other")))
    assert (len(images(sim)), len(images(sim, "other"))) == (2, 1)


async def test_an_image_of_somebody_else_is_never_touched(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    await upload(cloud, job(blobs, csar))
    theirs = sim.cloud.glance.create(images(sim)[0]["owner"], {"name": "app", "tags": ["vnf-v1"]})
    assert theirs["id"] not in (await upload(cloud, job(blobs, csar, "v2"))).values()
    await delete(cloud, "v1")
    await delete(cloud, "v2")
    assert images(sim) == [theirs]


@pytest.mark.parametrize("path", [r"/images$", r"/images/[^/]+/file$", r"/images/[^/]+/tags/"])
@pytest.mark.parametrize(
    "fault",
    [
        CallFault(effect="reset", when="after"),
        CallFault(effect="reset", when="before"),
        CallFault(status=500, when="after"),
        CallFault(status=503, when="before"),
    ],
)
async def test_a_lost_answer_leaves_one_whole_image(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str, path: str, fault: CallFault
) -> None:
    sim.faults.add(msgspec.structs.replace(fault, service="glance", path=path))
    ids = await upload(cloud, job(blobs, csar))
    (image,) = images(sim)
    assert (set(ids.values()), image["status"]) == ({image["id"]}, "active")
    assert sim.cloud.glance.data[image["id"]] == CONTENT
    sim.faults.add(msgspec.structs.replace(fault, service="glance", path=r"/images/[^/]+$", method="DELETE"))
    for _ in range(2):
        try:
            await delete(cloud, "v1")
        except (Retryable, UnknownOutcome):
            continue
    assert images(sim) == []


async def test_vnfs_at_the_same_time_end_with_one_image(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    vnfs = [f"v{number}" for number in range(6)]
    got = await asyncio.gather(*(upload(cloud, job(blobs, csar, vnf)) for vnf in vnfs))
    used = {image_id for ids in got for image_id in ids.values()}
    assert used <= {image["id"] for image in images(sim)}
    tagged = {tag for image in images(sim) for tag in image["tags"] if tag.startswith("vnf-")}
    assert tagged == {f"vnf-{vnf}" for vnf in vnfs}
    await asyncio.gather(*(delete(cloud, vnf) for vnf in vnfs))
    assert images(sim) == []


async def test_coming_and_going_at_the_same_time_never_takes_an_image_from_under_a_vnf(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    async def live(vnf: str) -> None:
        for _ in range(4):
            ids = await upload(cloud, job(blobs, csar, vnf))
            await asyncio.sleep(0.02)
            assert set(ids.values()) <= {image["id"] for image in images(sim)}
            await delete(cloud, vnf)

    await asyncio.gather(*(live(f"v{number}") for number in range(5)))
    assert images(sim) == []


@pytest.mark.parametrize(
    ("status", "tag", "age", "kept"),
    [
        ("queued", "op-dead", timedelta(), True),
        ("saving", "op-op-of-v1", timedelta(), False),
        ("saving", "op-other", timedelta(hours=2), False),
        ("killed", "op-other", timedelta(), False),
    ],
)
async def test_what_a_dead_worker_left_is_finished_or_replaced(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str, status: str, tag: str, age: timedelta, kept: bool
) -> None:  # fmt: skip
    await upload(cloud, job(blobs, csar, "v0", descriptor=vnfd(digest="cd34")))
    left = put(sim, status, tag, age=age)
    ids = await upload(cloud, job(blobs, csar))
    assert (ids["VDU1"] == left) is kept
    assert sim.cloud.glance.data[ids["VDU1"]] == CONTENT
    assert len(images(sim)) == 2


async def test_a_worker_that_is_uploading_is_left_alone(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    await upload(cloud, job(blobs, csar, "v0", descriptor=vnfd(digest="cd34")))
    put(sim, "saving", "op-other", age=timedelta(minutes=10))
    outcome = await upload_images(cloud, job(blobs, csar))
    assert isinstance(outcome, Again)
    assert "filled by somebody else" in outcome.note


async def test_an_image_that_is_being_deleted_is_waited_for(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    await upload(cloud, job(blobs, csar, "v0"))
    (image,) = images(sim)
    image["tags"].append("deleting-v0")
    assert isinstance(await upload_images(cloud, job(blobs, csar, "v1")), Again)
    await delete(cloud, "v0")
    ids = await upload(cloud, job(blobs, csar, "v1"))
    assert ids["VDU1"] == image["id"]


async def test_a_deletion_that_was_cut_short_is_finished(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    await upload(cloud, job(blobs, csar, "v1"))
    sim.faults.add(CallFault(service="glance", method="DELETE", path=r"/images/[^/]+$", status=503))
    with pytest.raises(ForestayError):
        await delete(cloud, "v1")
    assert "vnf-v1" not in images(sim)[0]["tags"]
    await delete(cloud, "v1")
    assert images(sim) == []


async def test_what_was_not_let_go_of_to_the_end_is_so_by_who_wants_it_again(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    for users in ("v1",), ("v1", "v2"):
        _, *_, before = [await upload(cloud, job(blobs, csar, user)) for user in ("v1", *users)]
        images(sim)[0]["tags"].append("deleting-v1")
        again = await upload(cloud, job(blobs, csar, "v1"))
        (image,) = images(sim)
        assert (again["VDU1"], image["status"]) == (image["id"], "active")
        assert sorted(tag for tag in image["tags"] if tag.startswith(("vnf-", "deleting-"))) == [
            f"vnf-{user}" for user in users
        ]
        assert (again == before) == ("v2" in users), "what somebody else uses is not made anew"


async def test_what_the_vnf_is_made_of_is_kept(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    await upload(cloud, job(blobs, csar))
    present, booted, former = [image["id"] for image in images(sim)] + [put(sim, "active", "vnf-v1") for _ in "12"]
    server = {"name": "s", "flavorRef": await flavor(cloud), "imageRef": booted, "networks": "none"}
    reply = await cloud.request("compute", "POST", "/servers", body={"server": server}, version="compute 2.37")
    servers = (reply.body["server"]["id"],)
    drop = ImageJob(vnf_id="v1", op_id="end", fence=_pass, keep=frozenset({present}), servers=servers)
    assert await delete_images(cloud, drop) == Confirmed({"deleted": [former], "kept": sorted([present, booted])})
    assert {image["id"] for image in images(sim)} == {present, booted}


async def flavor(cloud: Cloud) -> str:
    return (await cloud.request("compute", "GET", "/flavors")).body["flavors"][0]["id"]


async def test_a_worker_whose_turn_is_over_does_nothing(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    async def over() -> None:
        raise Superseded(None)

    late = job(blobs, csar)
    late = ImageJob(vnf_id=late.vnf_id, op_id=late.op_id, fence=over, images=late.images, package=late.package)
    with pytest.raises(Superseded):
        await upload_images(cloud, late)
    assert images(sim) == []
    await upload(cloud, job(blobs, csar))
    with pytest.raises(Superseded):
        await delete_images(cloud, late)
    assert len(images(sim)) == 1


async def test_a_package_that_cannot_be_read_is_the_steps_failure(
    sim: OpenStackSimulator, cloud: Cloud, blobs: FileBlobStore, csar: str
) -> None:
    with pytest.raises(Permanent, match=r"Files/none\.img of package .* cannot be read"):
        await upload_images(cloud, job(blobs, csar, descriptor=vnfd(path="Files/none.img")))
    whole = (await blobs.path(csar)).read_bytes()
    damaged = await store(blobs, whole[:100_000] + bytes(1000) + whole[101_000:])
    with pytest.raises(Permanent, match="cannot be read"):
        await upload_images(cloud, job(blobs, damaged, descriptor=vnfd(digest="cd34")))
    assert not any(image["status"] == "active" for image in images(sim))
    await delete(cloud, "v1")
    assert images(sim) == []


def test_a_file_without_a_promise_is_known_by_its_package() -> None:
    bare = msgspec.structs.replace(vnfd(), artifacts={})
    one, same, other = (packaged_images(bare, bare.flavour(), csar)[0].digest for csar in ("a", "a", "b"))
    assert one == same != other

"""The sample packages: what is read of them, that it survives JSON, and what GET /vnfd makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml
from forestay_csar import Archive, ReadPackage, read_package
from forestay_events.errors import Rejected
from forestay_sol.vnfd import Checksum, SoftwareImage, Vdu, VduCp, Vnfd

from tests.packages.build import build_csar

PACKAGES = Path(__file__).parents[1] / "packages"
CIRROS = SoftwareImage(
    id="VDU1",
    name="cirros",
    version="1.0",
    checksum=Checksum(algorithm="SHA-256", hash="de2f256064a0af797747c2b97505dc0b9f3df0de4f489eac731c23ae9ca9cc31"),
    min_ram=256 << 20,
    size=64 << 10,
)
UNKNOWN: list[tuple[Callable[[Vnfd], object], str]] = [
    (lambda v: v.flavour("x"), "Invalid flavourId 'x'"),
    (lambda v: v.flavour().level("x"), "has instantiation_level_1, instantiation_level_2"),
    (lambda v: v.flavour().count("VDU9"), "Invalid vduId 'VDU9'"),
    (lambda v: v.flavour().aspect("x"), "Invalid aspectId 'x'"),
    (lambda v: v.flavour().scale_counts("VDU1_scale", level=1, steps=2), "Invalid numberOfSteps '2'"),
    (lambda v: v.flavour().scale_counts("VDU1_scale", level=0, steps=-1), "Invalid numberOfSteps '1'"),
]


def sample(name: str, tmp_path: Path) -> ReadPackage:
    return read_package(build_csar(PACKAGES / name, tmp_path / f"{name}.zip"))


def test_asg_sample_is_read_whole(tmp_path: Path) -> None:
    package = sample("sample-asg", tmp_path)
    vnfd = package.vnfd
    assert (vnfd.vnfd_id, vnfd.provider, vnfd.product_name, vnfd.software_version, vnfd.vnfd_version) == (
        "4f1a6b2e-0001-4c0e-9c52-5a9e00000001",
        "Forestay",
        "sample-asg",
        "1.0",
        "1.0",
    )
    assert vnfd.vnfm_info == ("Forestay",)
    assert package.definitions == ("Definitions/top.vnfd.yaml", "Definitions/df_simple.yaml", "Definitions/types.yaml")
    assert package.manifest == "sample-asg.mf"
    assert not package.single_yaml

    flavour = vnfd.flavour()
    assert flavour is vnfd.flavours["simple"]
    assert flavour.vdus == {
        "VDU1": Vdu(
            id="VDU1",
            name="VDU1",
            description="A member of the group",
            requested_capability="m1.tiny",
            software_image=CIRROS,
            cp_ids=("VDU1_CP1",),
            min_instances=1,
            max_instances=3,
            virtual_cpus=1,
            virtual_memory=512 << 20,
        )
    }
    assert flavour.cps["VDU1_CP1"] == VduCp(id="VDU1_CP1", vdu_id="VDU1", order=0, layer_protocols=("ipv4",))
    assert flavour.external_cpds() == {"VDU1_CP1", "virtual_link_external"}
    assert flavour.ext_cps["virtual_link_external"].vdu_cp_id == "VDU1_CP1"
    assert [flavour.count("VDU1", level) for level in (None, "instantiation_level_1", "instantiation_level_2")] == [
        1,
        1,
        3,
    ]
    assert flavour.level("instantiation_level_2").scale_info == {"VDU1_scale": 2}
    assert flavour.scale_counts("VDU1_scale", level=0, steps=2) == {"VDU1": 2}
    assert flavour.scale_counts("VDU1_scale", level=2, steps=-1) == {"VDU1": -1}
    assert [(rule.kind, rule.scope, rule.targets) for rule in flavour.affinity_rules] == [
        ("ANTI_AFFINITY", "nfvi_node", ("VDU1",))
    ]
    assert vnfd.software_images() == (CIRROS,)
    assert flavour.base_hot is not None
    assert flavour.base_hot.path == "BaseHOT/simple/asg.yaml"
    group = yaml.safe_load(flavour.base_hot.template)["resources"]["VDU1_scale_group"]
    assert group["properties"]["resource"]["type"] in flavour.base_hot.files


def test_two_vdus_sample_resolves_storages_links_and_groups(tmp_path: Path) -> None:
    flavour = sample("sample-two-vdus", tmp_path).vnfd.flavour("simple")
    assert {vdu.id: (vdu.requested_capability, vdu.storage_ids) for vdu in flavour.vdus.values()} == {
        "VDU1": ("m1.tiny", ()),
        "VDU2": ("m1.small", ("VDU2_Storage",)),
    }
    assert (flavour.storages["VDU2_Storage"].kind, flavour.storages["VDU2_Storage"].size) == (
        "VirtualBlockStorage",
        1 << 30,
    )
    assert set(flavour.software_images()) == {"VDU1", "VDU2_Storage"}
    assert [cp.virtual_link_id for cp in flavour.cps_of("VDU2")] == [None, "internalVL1"]
    assert [cp.id for cp in flavour.cps.values() if cp.is_external] == ["VDU1_CP1", "VDU2_CP1"]
    drawn = msgspec.structs.replace(flavour, base_hot=None)
    assert flavour.external_cpds() - drawn.external_cpds() == {"VDU1_CP2", "VDU2_CP2"}, "its BaseHOT may connect them"
    assert flavour.virtual_links["internalVL1"].cidrs == ("192.168.77.0/24",)
    assert flavour.level().virtual_link_bitrates == {"internalVL1": {"root": 1048576, "leaf": 1048576}}
    assert flavour.level().vdu_counts == {"VDU1": 1, "VDU2": 1}
    assert flavour.placement_groups == {"both": ("VDU1", "VDU2")}
    assert [(rule.kind, rule.targets) for rule in flavour.affinity_rules] == [("AFFINITY", ("VDU1", "VDU2"))]


@pytest.mark.parametrize("name", ["sample-asg", "sample-two-vdus"])
def test_model_survives_json(name: str, tmp_path: Path) -> None:
    vnfd = sample(name, tmp_path).vnfd
    assert msgspec.json.decode(msgspec.json.encode(vnfd), type=Vnfd) == vnfd


def test_artifacts_are_all_other_files_with_their_digests(tmp_path: Path) -> None:
    package = sample("sample-asg", tmp_path)
    with Archive(tmp_path / "sample-asg.zip") as archive:
        assert set(package.vnfd.artifacts) == set(archive.names) - {"sample-asg.mf"}


def test_builder_is_deterministic(tmp_path: Path) -> None:
    first, second = (build_csar(PACKAGES / "sample-asg", tmp_path / name) for name in ("1.zip", "2.zip"))
    assert first.read_bytes() == second.read_bytes()


def test_member_is_streamed_from_any_byte(tmp_path: Path) -> None:
    path = build_csar(PACKAGES / "sample-asg", tmp_path / "sample.zip")
    content = (PACKAGES / "sample-asg" / "BaseHOT" / "simple" / "asg.yaml").read_bytes()
    with Archive(path) as archive:
        name = "BaseHOT/simple/asg.yaml"
        assert archive.size(name) == len(content)
        assert b"".join(archive.chunks(name)) == content
        assert b"".join(archive.chunks(name, start=100, length=50)) == content[100:150]
        assert b"".join(archive.chunks(name, start=100, length=1 << 20)) == content[100:]


@pytest.mark.parametrize(("ask", "said"), UNKNOWN)
def test_unknown_id_is_rejected_with_the_known_ones(ask: Callable[[Vnfd], object], said: str, tmp_path: Path) -> None:
    with pytest.raises(Rejected) as caught:
        ask(sample("sample-asg", tmp_path).vnfd)
    assert caught.value.status == 400
    assert said in str(caught.value)

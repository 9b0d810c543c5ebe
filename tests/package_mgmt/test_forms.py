"""Forms that packages come in, Tacker's among them: all of them are read, and to the same meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from forestay_csar import read_package
from forestay_events.errors import Rejected
from forestay_sol.vnfd import Flavour, LcmScript

Files = dict[str, str | bytes]
Pack = Callable[[Mapping[str, str | bytes]], Path]
META = "TOSCA-Metadata/TOSCA.meta"
TOP, TYPES, FLAVOUR = (f"Definitions/{name}.yaml" for name in ("top.vnfd", "types", "df_simple"))

SINGLE = """
tosca_definitions_version: tosca_simple_yaml_1_2
node_types:
  tosca.nodes.nfv.VNF: {derived_from: tosca.nodes.Root}
  acme.VNF:
    derived_from: tosca.nodes.nfv.VNF
    properties:
      descriptor_version: {type: string, constraints: [valid_values: ['2.0']]}
topology_template:
  inputs:
    selected_flavour: {type: string, default: {get_input: selected_flavour}}
    vendor: {type: string, default: Acme}
  node_templates:
    VNF:
      type: acme.VNF
      properties:
        flavour_id: %s
        descriptor_id: acme-1
        provider: {get_input: vendor}
        product_name: Tiny
        software_version: 1.5
      requirements:
    WORKER:
      type: acme.Worker
      properties:
        name: worker
        sw_image_data: {name: img, version: 1, size: 1 GB}
      artifacts: {sw_image: Files/img.qcow2}
"""
WORKER_TYPE = "  acme.Worker: {derived_from: tosca.nodes.nfv.Vdu.Compute}\ntopology_template:"


def edited(files: Files, file: str, old: str, new: str) -> Files:
    text = files[file]
    assert isinstance(text, str)
    assert old in text
    return {**files, file: text.replace(old, new)}


def flavour(path: Path) -> Flavour:
    return read_package(path).vnfd.flavour("simple")


def test_single_yaml_with_its_manifest(pack: Pack) -> None:
    text = (SINGLE % "tiny").replace("topology_template:", WORKER_TYPE)
    digest = hashlib.sha224(text.encode()).hexdigest().upper()
    manifest = f"metadata:\n\nSource: vnf.yaml\nAlgorithm: sha-224\nHash: {digest}\n"
    package = read_package(pack({"vnf.yaml": text, "vnf.mf": manifest, "Files/img.qcow2": "image"}))
    assert (package.single_yaml, package.definitions, package.manifest) == (True, ("vnf.yaml",), "vnf.mf")
    vnfd = package.vnfd
    assert (vnfd.provider, vnfd.software_version, vnfd.vnfd_version) == ("Acme", "1.5", "2.0")
    assert (vnfd.default_flavour_id, vnfd.flavour().id) == ("tiny", "tiny")
    image = vnfd.software_images()[0]
    assert (image.id, image.path, image.version, image.size) == ("WORKER", "Files/img.qcow2", "1", 10**9)
    assert vnfd.flavour().level().id == "default"
    assert vnfd.flavour().count("WORKER") == 1
    assert vnfd.flavour().base_hot is None


def test_flavour_by_substitution_mappings_of_a_single_yaml(pack: Pack) -> None:
    text = (SINGLE % "{get_input: selected_flavour}").replace("topology_template:", WORKER_TYPE)
    text += "  substitution_mappings: {properties: {flavour_id: simple}, requirements: {virtual_link_external: []}}\n"
    assert read_package(pack({"vnf.yaml": text, "Files/img.qcow2": "x"})).vnfd.flavour().id == "simple"


@pytest.mark.parametrize("algorithm", ["SHA-224", "sha-256", "SHA384", "sha512"])
@pytest.mark.parametrize("key", ["Source", "Name"])
def test_digest_algorithms(algorithm: str, key: str, files: Files, pack: Pack) -> None:
    digest = hashlib.new(algorithm.lower().replace("-", ""), b"x").hexdigest()
    entry = f"\n\n{key}: Files/x\nContent-Type: text/plain\nAlgorithm: {algorithm}\nHash: {digest}\n"
    artifact = read_package(pack({**files, META: f"{files[META]}{entry}", "Files/x": "x"})).vnfd.artifacts["Files/x"]
    assert artifact.checksum.hash == digest
    assert artifact.checksum.algorithm in ("SHA-224", "SHA-256", "SHA-384", "SHA-512")
    assert artifact.content_type == "text/plain"


def test_artifact_at_a_url_is_recorded_and_not_fetched(files: Files, pack: Pack) -> None:
    entry = f"\n\nSource: http://192.0.2.1/x\nAlgorithm: SHA-256\nHash: {'0' * 64}\n"
    assert "http://192.0.2.1/x" in read_package(pack({**files, META: f"{files[META]}{entry}"})).vnfd.artifacts


def test_properties_of_the_node_type_alone(files: Files, pack: Pack) -> None:
    text = files[TOP]
    assert isinstance(text, str)
    kept = text[: text.index("        descriptor_id:")]
    vnfd = read_package(pack({**files, TOP: kept})).vnfd
    assert (vnfd.vnfd_id, vnfd.product_name) == ("4f1a6b2e-0001-4c0e-9c52-5a9e00000001", "sample-asg")


def test_defaults_of_a_new_vnf(files: Files, pack: Pack) -> None:
    more = (
        "vnfm_info: [Forestay]\n        configurable_properties: {is_autoscale_enabled: false}\n"
        "        modifiable_attributes: {extensions: {region: north}, metadata: {tier: 1}}"
    )
    vnfd = read_package(pack(edited(files, TOP, "vnfm_info: [Forestay]", more))).vnfd
    assert vnfd.configurable_properties == {"is_autoscale_enabled": False}
    assert (vnfd.extensions, vnfd.metadata) == ({"region": "north"}, {"tier": 1})


def test_type_files_that_the_package_ships_are_read_instead(files: Files, pack: Pack) -> None:
    shipped = "node_types:\n  tosca.nodes.nfv.VNF: {properties: {product_info_name: {default: By type}}}\n"
    package = read_package(pack({**files, "Definitions/etsi_nfv_sol001_vnfd_types.yaml": shipped}))
    assert package.vnfd.product_info_name == "By type"
    assert "Definitions/etsi_nfv_sol001_vnfd_types.yaml" in package.definitions


@pytest.mark.parametrize(
    "form",
    [
        "- file: types.yaml",
        "- {vnf: {file: types.yaml}}",
        "- ./types.yaml",
        "- types.yaml\n  - https://example.com/v4/etsi_nfv_sol001_common_types.yaml",
    ],
)
def test_import_forms(form: str, files: Files, pack: Pack) -> None:
    assert flavour(pack(edited(files, TOP, "- types.yaml", form)))


def test_levels_follow_from_deltas_where_they_are_not_stated(files: Files, pack: Pack) -> None:
    files = edited(files, FLAVOUR, "type: tosca.policies.nfv.VduInstantiationLevels", "type: tosca.policies.Root")
    files = edited(
        files, FLAVOUR, "{initial_delta: {number_of_instances: 1}}", "{initial_delta: {number_of_instances: 2}}"
    )
    read = flavour(
        pack(
            edited(
                files,
                FLAVOUR,
                "deltas: {delta_1: {number_of_instances: 1}}",
                "deltas: {delta_1: {number_of_instances: 3}}",
            )
        )
    )
    assert read.level("instantiation_level_2").vdu_counts == {"VDU1": 8}
    assert read.vdu("VDU1").initial_instances == 2


def test_steps_of_different_size(files: Files, pack: Pack) -> None:
    files = edited(files, FLAVOUR, "step_deltas: [delta_1]", "step_deltas: [delta_1, delta_2]")
    two = "{delta_1: {number_of_instances: 1}, delta_2: {number_of_instances: 4}}"
    read = flavour(pack(edited(files, FLAVOUR, "{delta_1: {number_of_instances: 1}}", two)))
    assert read.scale_counts("VDU1_scale", level=0, steps=2) == {"VDU1": 5}
    assert read.scale_counts("VDU1_scale", level=2, steps=-1) == {"VDU1": -4}


def test_several_levels_and_no_default(files: Files, pack: Pack) -> None:
    read = flavour(pack(edited(files, FLAVOUR, "          default_level: instantiation_level_1\n", "")))
    assert read.count("VDU1", "instantiation_level_2") == 3
    with pytest.raises(Rejected, match=r"is required: .*instantiation_level_1, instantiation_level_2"):
        read.level()


@pytest.mark.parametrize(
    ("old", "new"), [("aspect: VDU1_scale", "aspect: other"), ("step_deltas: [delta_1]", "step_deltas: [delta_7]")]
)
def test_undefined_deltas_forbid_scaling_only(old: str, new: str, files: Files, pack: Pack) -> None:
    read = flavour(pack(edited(files, FLAVOUR, old, new)))
    assert read.count("VDU1", "instantiation_level_2") == 3
    with pytest.raises(Rejected, match="scales no VDU"):
        read.scale_counts("VDU1_scale", level=0, steps=1)


def test_block_with_a_content_type_only(files: Files, pack: Pack) -> None:
    meta = f"{files[META]}\n\nName: Files/not/there.img\nContent-Type: application/x-iso9066-image\n"
    assert read_package(pack({**files, META: meta})).vnfd.artifacts == {}


def test_flavours_in_several_files(files: Files, pack: Pack) -> None:
    other = edited(files, FLAVOUR, "flavour_id: simple", "flavour_id: complex")[FLAVOUR]
    vnfd = read_package(pack({**files, "Definitions/df_complex.yaml": other})).vnfd
    assert set(vnfd.flavours) == {"simple", "complex"}
    assert vnfd.flavour().id == "simple"
    assert vnfd.flavour("complex").base_hot is None
    assert len(vnfd.software_images()) == 1


def test_lcm_scripts(files: Files, pack: Pack) -> None:
    vnf = """One group
      interfaces:
        Vnflcm:
          type: tosca.interfaces.nfv.Vnflcm
          inputs: {}
          instantiate: []
          instantiate_start: {implementation: hook}
          instantiate_end: hook
          scale_start:
          terminate_start: {implementation: {primary: root, dependencies: [hook]}}
          operations: {heal_end: {implementation: hook}}
      artifacts:
        hook: {type: tosca.artifacts.Implementation.Python, file: ../Scripts/hook.py}
        root: {type: tosca.artifacts.Implementation.Bash, file: Scripts/stop.sh}
"""
    files = edited(files, FLAVOUR, "One group of like instances\n", vnf)
    python = LcmScript(path="Scripts/hook.py", type="tosca.artifacts.Implementation.Python")
    assert flavour(pack({**files, "Scripts/hook.py": "", "Scripts/stop.sh": ""})).lcm_scripts == {
        "instantiate_start": python,
        "instantiate_end": python,
        "terminate_start": LcmScript(path="Scripts/stop.sh", type="tosca.artifacts.Implementation.Bash"),
        "heal_end": python,
    }


@pytest.mark.parametrize(
    ("written", "size"), [("0 B", 0), ("10 kB", 10_000), ("1.5 GiB", 1536 << 20), ("2 gb", 2 * 10**9), ("7", 7)]
)
def test_sizes(written: str, size: int, files: Files, pack: Pack) -> None:
    image = flavour(pack(edited(files, FLAVOUR, "min_ram: 256 MiB", f"min_ram: {written}"))).vdu("VDU1").software_image
    assert image is not None
    assert image.min_ram == size


def test_external_connection_points(files: Files, pack: Pack) -> None:
    more = """    VL: {type: tosca.nodes.nfv.VnfVirtualLink}
    EXT:
      type: tosca.nodes.nfv.VnfExtCp
      properties: {layer_protocols: [ipv4]}
      requirements:
        - internal_virtual_link: {node: VL}
        - external_virtual_link:

  policies:
"""
    cps = flavour(pack(edited(files, FLAVOUR, "  policies:\n", more))).ext_cps
    assert (cps["EXT"].virtual_link_id, cps["EXT"].layer_protocols) == ("VL", ("ipv4",))
    assert cps["virtual_link_external"].vdu_cp_id == "VDU1_CP1"


def test_container_vdus_are_vdus(files: Files, pack: Pack) -> None:
    files = edited(
        files, FLAVOUR, "type: tosca.nodes.nfv.Vdu.Compute", "type: tosca.nodes.nfv.Vdu.OsContainerDeployableUnit"
    )
    assert set(flavour(pack(files)).vdus) == {"VDU1"}

"""Packages as third parties make them: one for each form of SOL004 and each construct of SOL001 that Forestay reads.

``PACKAGES`` names them; ``write`` makes the zip file of one. Structure after SOL001's and SOL004's published examples; the
content is ours. All of them have to onboard.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

from forestay_csar import Signing, build_csar

from tests.packages import keys
from tests.packages.vnfd import (
    META,
    NFV,
    PRODUCT,
    TOP,
    Files,
    Json,
    compute,
    cp,
    document,
    link,
    policy,
    scaling,
    simple,
    sw_image,
    topology,
    vnf_type,
    vnfd,
)  # fmt: skip

Write = Callable[[Path], None]
_IMAGE = b"QFI\xfb" + bytes(range(256)) * 40
_META = (
    b"TOSCA-Meta-File-Version: 1.0\nCSAR-Version: 1.1\nCreated-By: Company\nEntry-Definitions: Definitions/vnfd.yaml\n"
)


def csar(**others: bytes) -> Files:
    """Files of a CSAR with TOSCA.meta and nothing else that is not asked for."""
    return {META: _META, TOP: vnfd(), **others}


def zipped(files: Files, path: Path) -> None:
    """Write files as a zip, in their order."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name, content)


def with_manifest(files: Files, *, algorithm: str = "SHA-256", newline: str = "\n", extra: str = "") -> Files:
    """Add a manifest that hashes all files."""
    lines = [
        "metadata:", "  vnf_product_name: Sunshine", "  vnf_provider_id: Company", "  vnf_package_version: 1.0",
        "  vnf_release_date_time: 2026-01-01T10:00:00+03:00", "  compatible_specification_versions: 2.7.1,3.3.1",
    ]  # fmt: skip
    meta = files[META] + b"ETSI-Entry-Manifest: vnfd.mf\n"
    for name, content in {**files, META: meta}.items():
        digest = hashlib.new(algorithm.replace("-", ""), content).hexdigest()
        lines += ["", f"Source: {name}", f"Algorithm: {algorithm}", f"Hash: {digest}"]
    return {**files, META: meta, "vnfd.mf": (newline.join(lines) + newline + extra).encode()}


def tree(files: Files, folder: Path) -> Path:
    """Write files as a source tree."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def signed(option: str, path: Path) -> None:
    """The simple package, signed by our builder."""
    signer = keys.vendor()
    signing = Signing(key=signer.key_pem, certificate=signer.pem, option="whole" if option == "whole" else "manifest")
    build_csar(tree(csar(), path.with_suffix(".tree")), path, signing)


def chart() -> bytes:
    """A Helm chart as a .tgz."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in {"sunshine/Chart.yaml": b"apiVersion: v2\nname: sunshine\nversion: 1.0.0\n"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _files(make: Callable[[], Files]) -> Write:
    return lambda path: zipped(make(), path)


def _topology(nodes: Json, files: Files | None = None, policies: list[Json] | None = None) -> Write:
    template = topology(nodes, policies)
    return lambda path: zipped({META: _META, TOP: vnfd(template), **(files or {})}, path)


def _single() -> Files:
    return {"vnfd.yaml": vnfd()}


def _single_with_manifest() -> Files:
    digest = hashlib.sha512(vnfd()).hexdigest()
    manifest = f"metadata:\n  vnf_product_name: Sunshine\n\nSource: vnfd.yaml\nAlgorithm: SHA-512\nHash: {digest}\n"
    return {
        "vnfd.yaml": vnfd(),
        "vnfd.mf": manifest.encode(),
        "Files/Licenses/LICENSE": b"free\n",
        "ChangeLog.txt": b"1.0\n",
    }


def _multi_file() -> Files:
    template = simple()
    policies = template.pop("policies")
    return {
        META: _META,
        TOP: document(
            imports=["etsi_nfv_sol001_vnfd_types.yaml", {"file": "types/company.yaml"}, {"df": {"file": "df.yaml"}}]
        ),
        "Definitions/types/company.yaml": document(imports=["base.yaml"], node_types=vnf_type("simple")),
        "Definitions/types/base.yaml": document(node_types={"Company.Worker": {"derived_from": f"{NFV}Vdu.Compute"}}),
        "Definitions/df.yaml": document(
            imports=["types/base.yaml"],
            topology_template={
                **template,
                "node_templates": {**template["node_templates"], "worker": compute(type="Company.Worker")},
                "policies": policies,
            },
        ),
    }


def _several_flavours() -> Files:
    vnf = {"type": "Company.Sunshine", "properties": {"flavour_id": {"get_input": "flavour"}}}
    top = {"inputs": {"flavour": {"type": "string", "default": "simple"}}, "node_templates": {"VNF": vnf}}
    ha = topology({"active": compute(most=1), "spare": compute(most=1)}, [
        policy("apart", "AntiAffinityRule", ["active", "spare"], scope="nfvi_node"),
    ], flavour="ha")  # fmt: skip
    return {
        META: _META,
        TOP: document(imports=["simple.yaml", "ha.yaml"], node_types=vnf_type("simple", "ha"), topology_template=top),
        "Definitions/simple.yaml": document(topology_template=simple()),
        "Definitions/ha.yaml": document(topology_template=ha),
    }


def _shipped_types() -> Files:
    shipped = document(node_types={
        "tosca.nodes.nfv.VNF": {"derived_from": "tosca.nodes.Root"},
        "tosca.nodes.nfv.Vdu.Compute": {"derived_from": "tosca.nodes.Root"},
        "tosca.nodes.nfv.Tomorrow": {"derived_from": "tosca.nodes.nfv.Vdu.Compute"},
    })  # fmt: skip
    template = topology({"worker": compute(type="tosca.nodes.nfv.Tomorrow")})
    imports = ["etsi_nfv_sol001_vnfd_types.yaml"]
    top = document(imports=imports, node_types=vnf_type("simple"), topology_template=template)
    return {META: _META, TOP: top, "Definitions/etsi_nfv_sol001_vnfd_types.yaml": shipped}


def _deployable(*containers: str) -> Json:
    return {
        "type": f"{NFV}Vdu.OsContainerDeployableUnit",
        "properties": {"name": "pod", "description": "A pod", "vdu_profile": {"min_number_of_instances": 1}},
        "requirements": [{"container": name} for name in containers],
    }


def _container() -> Json:
    image = sw_image("sunshine-web", container_format="docker", disk_format="raw")
    return {
        "type": f"{NFV}Vdu.OsContainer",
        "properties": {"name": "web", "description": "Web", "sw_image_data": image},
    }


def _cnf(artifact: Json) -> Json:
    mciop = {"type": f"{NFV}Mciop", "artifacts": {"chart": artifact}, "requirements": [{"associatedVdu": "pod"}]}
    return {"pod": _deployable("web"), "web": _container(), "mciop": mciop}


def _helm(file: str, files: Files | None = None) -> Write:
    return _topology(_cnf({"type": "tosca.artifacts.nfv.HelmChart", "file": file}), files)


def _floating() -> Json:
    return {
        "worker": compute(), "inner": link("10.0.0.0/24"), "worker_cp": cp("worker", "inner"),
        "vip": {"type": f"{NFV}VipCp", "requirements": [{"target": "worker_cp"}, {"virtual_link": "inner"}]},
        "service": {"type": f"{NFV}VirtualCp", "requirements": [{"target": "worker"}]},
        "outside": {"type": f"{NFV}VnfExtCp", "properties": {"layer_protocols": ["ipv4"]},
                    "requirements": [{"internal_virtual_link": "inner"}]},
    }  # fmt: skip


def _storages() -> Json:
    def storage(kind: str, properties: Json) -> Json:
        return {"type": f"{NFV}Vdu.Virtual{kind}Storage", "properties": properties}

    boot = {"virtual_block_storage_data": {"size_of_storage": "20 GiB"}, "sw_image_data": sw_image("boot")}
    requirements = [{"virtual_storage": name} for name in ("boot", "share", "heap")]
    return {
        "worker": compute(requirements=requirements),
        "boot": storage("Block", boot),
        "share": storage(
            "File", {"virtual_file_storage_data": {"size_of_storage": "1 TiB", "file_system_protocol": "nfs"}}
        ),
        "heap": storage("Object", {"virtual_object_storage_data": {"max_size_of_storage": "1 GB"}}),
    }


def _scripts() -> Files:
    template = simple()
    hook = {"type": "tosca.artifacts.Implementation.Python", "file": "../Scripts/hook.py"}
    template["node_templates"]["VNF"] |= {
        "interfaces": {
            "Vnflcm": {"operations": {"instantiate_end": {"implementation": "hook"}, "terminate_start": "hook"}}
        },
        "artifacts": {"hook": hook},
    }
    user_data = (
        b"class Mine:\n    @staticmethod\n    def instantiate(req, inst, grant_req, grant, csar):\n        return {}\n"
    )
    return csar() | {
        TOP: vnfd(template),
        "Scripts/hook.py": b"import json\nimport sys\n\nprint(json.dumps(sys.argv))\n",
        "UserData/mine.py": user_data,
        "BaseHOT/simple/top.yaml": b"heat_template_version: 2018-08-31\nparameters: {size: {type: string}}\nresources: {}\n",
    }


def _non_mano() -> Files:
    events, texts = "onap_ves_events:\n    Source: Files/ves.yaml", "prv.company.docs:\n    Source: Files/a.txt"
    sets = f"\nnon_mano_artifact_sets:\n  {events}\n  {texts}\n"
    return with_manifest(csar(**{"Files/ves.yaml": b"a: 1\n", "Files/a.txt": b"a"}), extra=sets)


def _image_in_package() -> Files:
    image = sw_image("sunshine", checksum={"algorithm": "sha-256", "hash": hashlib.sha256(_IMAGE).hexdigest()})
    node = compute(image="../Files/images/sunshine.qcow2")
    node["properties"]["sw_image_data"] = image
    return with_manifest({META: _META, TOP: vnfd(topology({"worker": node})), "Files/images/sunshine.qcow2": _IMAGE})


def _groups() -> Write:
    template = topology({"a": compute(most=1), "b": compute(most=1)}, [
        policy("together", "AffinityRule", ["both"], scope="zone"),
        policy("rules", "SecurityGroupRule", ["a"], direction="ingress"),
    ])  # fmt: skip
    template["groups"] = {"both": {"type": "tosca.groups.nfv.PlacementGroup", "members": ["a", "b"]}}
    return lambda path: zipped({META: _META, TOP: vnfd(template)}, path)


def _whole_compressed(path: Path) -> None:
    signed("whole", path)
    with zipfile.ZipFile(path) as stored:
        zipped({name: stored.read(name) for name in stored.namelist()}, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


PACKAGES: dict[str, Write] = {
    "tosca-meta": _files(csar),
    "single-yaml": _files(_single),
    "single-yaml-manifest": _files(_single_with_manifest),
    "manifest-sha512": _files(lambda: with_manifest(csar(), algorithm="SHA-512")),
    "manifest-crlf": _files(lambda: with_manifest(csar(), newline="\r\n")),
    "signed-manifest": lambda path: signed("manifest", path),
    "signed-whole": lambda path: signed("whole", path),
    "signed-whole-compressed": _whole_compressed,
    "multi-file": _files(_multi_file),
    "several-flavours": _files(_several_flavours),
    "shipped-types": _files(_shipped_types),
    "helm-tgz": _helm("../Charts/sunshine-1.0.0.tgz", {"Charts/sunshine-1.0.0.tgz": chart()}),
    "helm-folder": _helm("Charts/sunshine", {"Charts/sunshine/Chart.yaml": b"apiVersion: v2\nname: sunshine\n"}),
    "helm-registry": _helm("oci://registry.example/charts/sunshine"),
    "kubernetes-manifest": _topology(
        _cnf({"type": "tosca.artifacts.File", "file": "Files/deployment.yaml"}),
        {"Files/deployment.yaml": b"apiVersion: apps/v1\nkind: Deployment\n"},
    ),
    "containers": _topology({"pod": _deployable("web"), "web": _container()}),
    "external-image": _topology({"worker": compute(image="https://images.example/sunshine.qcow2")}),
    "image": _files(_image_in_package),
    "non-mano": _files(_non_mano),
    "floating-addresses": _topology(_floating()),
    "storages": _topology(_storages()),
    "scripts": _files(_scripts),
    "groups": _groups(),
    "scaling": _topology({"worker": compute()}, policies=scaling("worker")),
}


def write(name: str, folder: Path) -> Path:
    """The zip file of a package of ``PACKAGES``; each is of another VNFD id, so that all can be onboarded together."""
    path = folder / f"{name}.zip"
    PRODUCT["descriptor_id"] = str(uuid5(NAMESPACE_DNS, f"{name}.company.example"))
    PACKAGES[name](path)
    return path

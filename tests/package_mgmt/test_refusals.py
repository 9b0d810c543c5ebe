"""Packages with one defect each: the rule that refuses it, the file that is named, and a word of the remedy."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from forestay_csar import Limits, PackageInvalid, read_package

Files = dict[str, str | bytes]
Pack = Callable[[Mapping[str, str | bytes]], Path]
META = "TOSCA-Metadata/TOSCA.meta"
TOP, TYPES, FLAVOUR = (f"Definitions/{name}.yaml" for name in ("top.vnfd", "types", "df_simple"))
HOT = "BaseHOT/simple/asg.yaml"
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))


def edited(files: Files, file: str, old: str, new: str) -> Files:
    text = files[file]
    assert isinstance(text, str)
    assert old in text, f"{old!r} is not in {file}: the defect would not be made"
    return {**files, file: text.replace(old, new)}


def refused(path: Path, limits: Limits | None = None) -> PackageInvalid:
    with pytest.raises(PackageInvalid) as caught:
        read_package(path, limits)
    return caught.value


@pytest.mark.parametrize(
    ("content", "rule", "word"),
    [
        (LAUGHS, "yaml-bomb", "bomb"),
        (f"deep: {'[' * 100}{']' * 100}", "yaml-bomb", "deeper than 64"),
        ("[" * 100_000, "yaml-bomb", "deeper than 64"),
        ("self: &self [*self]", "yaml-alias", "its own anchor"),
        ("use: *nowhere", "yaml-alias", "before it"),
        (f"n: {'9' * 5000}", "yaml-number", "5000 digits"),
        (f"n: 1{':1' * 1000}", "yaml-number", "digits"),
        ("x: !!python/object/apply:os.system [id]", "yaml-syntax", "constructor"),
        ("a: 1\nb: [1, 2\nc: 3\n", "yaml-syntax", "line"),
        ("a: 1\n---\nb: 2\n", "yaml-syntax", "document"),
        ("- a list", "yaml-type", "a mapping"),
        ("just text", "yaml-type", "a mapping"),
        (b"text: \xff\xfe", "text-encoding", "UTF-8"),
        (b"text: a\x00b", "text-nul", "U+0000"),
        (r'text: "a\0b"', "text-nul", "line 1"),
        (r'"a\0b": 1', "text-nul", "line 1"),
        ("#" * (Limits().text + 1), "text-size", str(Limits().text)),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 16 else "",
)
@pytest.mark.parametrize("file", ["Definitions/more.yaml", "BaseHOT/simple/nested/more.yaml"])
def test_yaml(content: str | bytes, rule: str, word: str, file: str, files: Files, pack: Pack) -> None:
    path = pack({**files, file: content})
    tracemalloc.start()
    error = refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (error.rule, error.file) == (rule, file)
    assert word in str(error)
    assert peak < 16 << 20


def test_yaml_syntax_names_the_line(files: Files, pack: Pack) -> None:
    error = refused(pack({**files, "Definitions/more.yaml": "a: 1\nb: 2\n  c: 3\n"}))
    assert (error.line, error.extra["line"]) == (3, 3)


def test_yaml_files_in_sum(files: Files, pack: Pack) -> None:
    many = {f"Definitions/{number}.yaml": "#" * (2 << 20) for number in range(9)}
    assert refused(pack({**files, **many})).rule == "text-total-size"


def test_hot_that_does_not_fit_into_an_event(files: Files, pack: Pack) -> None:
    assert (
        refused(pack({**files, "BaseHOT/simple/nested/big.yaml": "# " + "x" * 1_000_000 + "\na: 1"})).rule
        == "vnfd-size"
    )


def test_neither_meta_nor_yaml(files: Files, pack: Pack) -> None:
    del files[META]
    assert refused(pack(files)).rule == "no-entry"


def test_two_yaml_files_in_the_root(files: Files, pack: Pack) -> None:
    error = refused(pack({"one.yaml": "a: 1", "two.yaml": "a: 1"}))
    assert error.rule == "no-entry"
    assert "found 2" in str(error)


def test_packed_folder_instead_of_its_content(files: Files, pack: Pack) -> None:
    error = refused(pack({f"sample/{name}": content for name, content in files.items()}))
    assert error.rule == "no-entry"
    assert "Pack the content of sample/" in str(error)


@pytest.mark.parametrize(
    ("file", "old", "new", "rule"),
    [
        (META, "Entry-Definitions: Definitions/top.vnfd.yaml\n", "", "entry-definitions-missing"),
        (META, "top.vnfd.yaml", "nowhere.yaml", "entry-definitions-file"),
        (META, "Created-By: Forestay", "ETSI-Entry-Manifest: nowhere.mf", "manifest-missing"),
        (META, "Created-By: Forestay", "ETSI-Entry-Manifest: Definitions/types.yaml", "manifest-missing"),
        (META, "Created-By: Forestay", "a line without a colon", "manifest-syntax"),
        (TOP, "types.yaml", "nowhere.yaml", "import-missing"),
        (TOP, "- types.yaml", "- http://example.com/types.yaml", "import-missing"),
        (TOP, "- types.yaml", "- ../../etc/types.yaml", "import-missing"),
        (TOP, "type: forestay.samples.VNF", "type: forestay.samples.Other", "type-unknown"),
        (TOP, "provider: Forestay", "provider: [Forestay]", "yaml-type"),
        (TOP, "4f1a6b2e-0001-4c0e-9c52-5a9e00000001", "i" * 256, "vnfd-id-length"),
        (TYPES, "derived_from: tosca.nodes.nfv.VNF", "derived_from: tosca.nodes.Root", "vnf-node-missing"),
        (FLAVOUR, "number_of_instances: 3}", "number_of_instances: -3}", "yaml-type"),
        (FLAVOUR, "min_ram: 256 MiB", "min_ram: 256 bananas", "yaml-type"),
        (FLAVOUR, "hash: de2f", "digest: de2f", "yaml-type"),
        (FLAVOUR, "algorithm: sha-256", "algorithm: md5", "manifest-algorithm"),
        (FLAVOUR, "- virtual_binding: VDU1", "- virtual_binding: VDU7", "reference-unknown"),
        (FLAVOUR, "- virtual_binding: VDU1", "- {virtual_binding: VDU1, virtual_link: VDU1}", "reference-unknown"),
        (FLAVOUR, "        - virtual_binding: VDU1\n", "", "cp-unbound"),
        (
            FLAVOUR,
            "scope: nfvi_node}\n        targets: [VDU1]",
            "scope: zone}\n        targets: [VDU7]",
            "affinity-target",
        ),
        (FLAVOUR, "default_level: instantiation_level_1", "default_level: level_7", "default-level-undefined"),
        (FLAVOUR, "instantiation_level_2: {number", "level_7: {number", "level-undefined"),
        (FLAVOUR, "type: tosca.policies.nfv.InstantiationLevels", "type: tosca.policies.Root", "level-undefined"),
        (FLAVOUR, "{VDU1_scale: {scale_level: 2}}", "{other: {scale_level: 2}}", "aspect-undefined"),
        (FLAVOUR, "{scale_level: 2}", "{scale_level: 3}", "scale-level-range"),
        (FLAVOUR, "max_scale_level: 2", "max_scale_level: many", "yaml-type"),
        (FLAVOUR, "max_scale_level: 2", "max_scale_level: 100000000", "vnfc-count"),
        (FLAVOUR, "number_of_instances: 3}", "number_of_instances: 100000000}", "vnfc-count"),
        (FLAVOUR, "step_deltas: [delta_1]", "step_deltas: [delta_1, delta_1, delta_1]", "step-deltas-length"),
    ],
)
def test_defect(file: str, old: str, new: str, rule: str, files: Files, pack: Pack) -> None:
    assert refused(pack(edited(files, file, old, new))).rule == rule


@pytest.mark.parametrize(
    "name", ["descriptor_id", "provider", "product_name", "software_version", "descriptor_version"]
)
def test_missing_vnf_property(name: str, files: Files, pack: Pack) -> None:
    for file in (TOP, TYPES):
        text = files[file]
        assert isinstance(text, str)
        files[file] = "\n".join(line for line in text.splitlines() if f" {name}:" not in line)
    error = refused(pack(files))
    assert error.rule == "vnf-property-missing"
    assert name in str(error)


def test_no_flavour(files: Files, pack: Pack) -> None:
    files = edited(files, FLAVOUR, "      flavour_id: simple\n", "      other: simple\n")
    files = edited(files, TYPES, ", constraints: [valid_values: [simple]], default: simple", "")
    assert refused(pack(files)).rule == "flavour-missing"


def test_flavour_in_two_files(files: Files, pack: Pack) -> None:
    error = refused(pack({**files, "Definitions/z_again.yaml": files[FLAVOUR]}))
    assert (error.rule, error.file) == ("flavour-duplicate", "Definitions/z_again.yaml")


def test_two_instantiation_levels_policies(files: Files, pack: Pack) -> None:
    twice = "    - more:\n        type: tosca.policies.nfv.InstantiationLevels\n    - VDU1_apart:"
    assert refused(pack(edited(files, FLAVOUR, "    - VDU1_apart:", twice))).rule == "levels-ambiguous"


def test_two_top_templates(files: Files, pack: Pack) -> None:
    error = refused(pack({**files, "BaseHOT/simple/other.yaml": files[HOT]}))
    assert error.rule == "base-hot-ambiguous"


@pytest.mark.parametrize(
    ("artifacts", "rule"),
    [
        ("sw_image: {type: tosca.artifacts.nfv.SwImage, file: ../Files/missing.img}", "artifact-missing"),
        ("sw_image: {type: tosca.artifacts.nfv.SwImage, file: 'file:///etc/passwd'}", "artifact-missing"),
        ("sw_image: ../../../../etc/passwd", "artifact-missing"),
        ("{one: ../Files/a.img, two: ../Files/a.img}", "software-image-count"),
    ],
)
def test_software_image_artifact(artifacts: str, rule: str, files: Files, pack: Pack) -> None:
    files = edited(files, FLAVOUR, "      capabilities:", f"      artifacts:\n        {artifacts}\n      capabilities:")
    assert refused(pack({**files, "Files/a.img": "image"})).rule == rule


def test_software_image_artifact_without_its_data(files: Files, pack: Pack) -> None:
    files = edited(files, FLAVOUR, "sw_image_data:", "other_data:")
    files = edited(
        files, FLAVOUR, "      capabilities:", "      artifacts: {sw_image: ../Files/a.img}\n      capabilities:"
    )
    assert refused(pack({**files, "Files/a.img": "image"})).rule == "software-image-data"


def test_script_without_artifact(files: Files, pack: Pack) -> None:
    hook = "A simple\n      interfaces: {Vnflcm: {instantiate_start: {implementation: nowhere}}}"
    error = refused(pack(edited(files, FLAVOUR, "One group of like instances", hook)))
    assert error.rule == "reference-unknown"
    assert "instantiate_start" in str(error)


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("Source: Files/x\nAlgorithm: SHA-256\nHash: {wrong}", "manifest-hash"),
        ("Name: Files/x\nAlgorithm: SHA-512\nHash: {wrong}", "manifest-hash"),
        ("Source: Files/x\nAlgorithm: MD5\nHash: {wrong}", "manifest-algorithm"),
        ("Source: Files/x\nHash: {right}", "manifest-entry"),
        ("Source: Files/x\nAlgorithm: SHA-256", "manifest-entry"),
        ("Source: Files/x\nAlgorithm: SHA-256\nHash:", "manifest-entry"),
        ("Source: Files/x\nAlgorithm: SHA-256\nSource: Files/x\nHash: {right}", "manifest-entry"),
        ("Source:\nAlgorithm: SHA-256\nHash: {right}", "manifest-entry"),
        ("Source: Files/y\nAlgorithm: SHA-256\nHash: {right}", "manifest-file-missing"),
        ("Source: file:///etc/passwd\nAlgorithm: SHA-256\nHash: {right}", "manifest-file-missing"),
        ("Source: ../x\nAlgorithm: SHA-256\nHash: {right}", "manifest-file-missing"),
    ],
)
@pytest.mark.parametrize("file", [META, "m.mf"])
def test_digest(entry: str, rule: str, file: str, files: Files, pack: Pack) -> None:
    digests = {"right": hashlib.sha256(b"x").hexdigest(), "wrong": hashlib.sha256(b"y").hexdigest()}
    files = {
        **edited(files, META, "Created-By: Forestay", "ETSI-Entry-Manifest: m.mf"),
        "m.mf": "metadata:\n",
        "Files/x": "x",
    }
    error = refused(pack({**files, file: f"{files[file]}\n\n{entry.format(**digests)}\n"}))
    assert error.rule == rule
    assert error.file == ("Files/x" if rule == "manifest-hash" else file)


def test_manifest_of_another_name_beside_a_single_yaml(files: Files, pack: Pack) -> None:
    assert refused(pack({"vnf.yaml": "a: 1", "other.mf": "metadata:\n"})).rule == "manifest-missing"

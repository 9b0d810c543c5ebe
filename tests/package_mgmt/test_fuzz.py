"""Whatever a package holds, it is read or it is ``PackageInvalid``: no other error, and what was read is JSON."""

from __future__ import annotations

import copy
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from forestay_csar import PackageInvalid, read_package
from forestay_sol.vnfd import Vnfd
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.packages.build import build_csar

SAMPLES = Path(__file__).parents[1] / "packages"
STRANGE: list[Any] = [None, 7, -1, 1.5, True, "x", "", [], ["x"], [[]], {}, {"a": 1}, {"get_input": "x"}, [{"a": None}]]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield (*path, key)
        yield from places(each, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    document = copy.deepcopy(value)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = new
    return document


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


DOCUMENTS: dict[str, Any] = {
    file.relative_to(SAMPLES / "sample-two-vdus").as_posix(): yaml.safe_load(file.read_text())
    for file in (SAMPLES / "sample-two-vdus" / "Definitions").iterdir()
} | {"Definitions/df_simple.yaml": yaml.safe_load((SAMPLES / "sample-asg/Definitions/df_simple.yaml").read_text())}
SPOTS = [(file, path) for file, document in DOCUMENTS.items() for path in places(document)]


@given(spot=st.sampled_from(SPOTS), new=st.sampled_from(STRANGE))
@settings(max_examples=40, deadline=None)
def test_any_value_anywhere_in_the_definitions(spot: tuple[str, tuple[Any, ...]], new: Any, workshop: Path) -> None:
    file, path = spot
    package = workshop / "package.zip"
    with zipfile.ZipFile(package, "w") as csar:
        csar.writestr("TOSCA-Metadata/TOSCA.meta", "Entry-Definitions: Definitions/top.vnfd.yaml\n")
        for name, document in DOCUMENTS.items():
            csar.writestr(name, yaml.safe_dump(replaced(document, path, new) if name == file else document))
    with suppress(PackageInvalid):
        vnfd = read_package(package).vnfd
        assert msgspec.json.decode(msgspec.json.encode(vnfd), type=Vnfd) == vnfd


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_byte_of_the_zip(data: st.DataObject, workshop: Path) -> None:
    package = build_csar(SAMPLES / "sample-asg", workshop / "package.zip")
    content = bytearray(package.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    package.write_bytes(content)
    with suppress(PackageInvalid):
        read_package(package)


def test_mutated_packages_of_all_kinds(tmp_path: Path) -> None:
    """A few seconds of what ``just fuzz`` does for a minute."""
    command = [sys.executable, "-m", "tests.packages.fuzz", "--seconds", "2", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=SAMPLES.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

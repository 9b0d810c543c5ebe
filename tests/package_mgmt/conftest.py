"""Packages for the tests of this folder: a small valid one as a dict of its files, and a writer of such dicts."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path.append(str(TESTS.parent))  # tests.packages.build

Pack = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def files() -> dict[str, str | bytes]:
    """The source files of ``sample-asg`` without its manifest: valid, to be spoilt by one defect each."""
    source = TESTS / "packages" / "sample-asg"
    found = {path.relative_to(source).as_posix(): path.read_text() for path in source.rglob("*") if path.is_file()}
    del found["sample-asg.mf"]
    meta = "TOSCA-Metadata/TOSCA.meta"
    return {**found, meta: found[meta].replace("ETSI-Entry-Manifest: sample-asg.mf\n", "")}


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Writes files into a zip."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        path = tmp_path / "package.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as csar:
            for name, content in files.items():
                csar.writestr(name, content)
        return path

    return write

"""Packages with one defect each, and the rule that has to refuse them. Each is made by a small function, never stored."""

from __future__ import annotations

from pathlib import Path

from tests.packages.bad.definitions import DEFINITIONS, TEMPLATES
from tests.packages.bad.forms import FORMS, SIGNATURES
from tests.packages.bad.making import Bad
from tests.packages.bad.zips import TEXTS, ZIPS

BAD: dict[str, Bad] = {**ZIPS, **TEXTS, **FORMS, **SIGNATURES, **DEFINITIONS, **TEMPLATES}


def write(name: str, folder: Path) -> Path:
    """The zip file of a package of ``BAD``."""
    path = folder / "bad.zip"
    BAD[name].write(path)
    return path

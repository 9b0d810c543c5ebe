"""VNF packages (CSAR, ETSI GS NFV-SOL 004): read where they lie, judged, made, signed. A package may be hostile.

``inspect`` finds everything that is wrong with one, ``read_package`` refuses one that has errors; ``open_csar`` streams its
members; ``build_csar`` makes a package. All of it is synchronous and
meant for a thread or, where nobody is trusted, a process apart (:mod:`forestay_csar.apart`); every refusal is a
``PackageInvalid``.
"""

from __future__ import annotations

from forestay_csar.archive import Archive, Limits
from forestay_csar.build import Signing, build_csar
from forestay_csar.entry import open_csar
from forestay_csar.findings import Finding, PackageInvalid
from forestay_csar.reader import ReadPackage, Report, inspect, read_package
from forestay_csar.rules import RULES, Rule
from forestay_csar.signature import Policy

__all__ = [
    "RULES",
    "Archive",
    "Finding",
    "Limits",
    "PackageInvalid",
    "Policy",
    "ReadPackage",
    "Report",
    "Rule",
    "Signing",
    "build_csar",
    "inspect",
    "open_csar",
    "read_package",
]

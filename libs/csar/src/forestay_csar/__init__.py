"""Reads a VNF package (CSAR, ETSI GS NFV-SOL 004) that may be hostile, from a file, without unpacking it.

``read_package`` judges and understands a package; ``Archive`` streams its members; ``write_vnfd_zip`` makes the answer
to GET ``/vnfd``. All of it is synchronous and meant for a thread; every refusal is a ``PackageInvalid``.
"""

from __future__ import annotations

from forestay_csar.archive import Archive, Limits
from forestay_csar.problem import PackageInvalid
from forestay_csar.reader import ReadPackage, read_package
from forestay_csar.vnfd_zip import write_vnfd_zip

__all__ = ["Archive", "Limits", "PackageInvalid", "ReadPackage", "read_package", "write_vnfd_zip"]

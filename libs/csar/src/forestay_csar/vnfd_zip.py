"""The VNFD of a package as a zip of its own: the answer to GET ``/vnfd`` (SOL005 9.4.4.3.2)."""

from __future__ import annotations

import zipfile
from typing import IO

from forestay_csar.archive import Archive
from forestay_csar.entry import TOSCA_META
from forestay_csar.reader import ReadPackage

_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_vnfd_zip(archive: Archive, package: ReadPackage, out: IO[bytes]) -> None:
    """Copy TOSCA.meta, when there is one, and the definitions into a zip; the same package gives the same bytes.

    :param archive: the package that ``package`` was read from.
    :param out: a binary file to write to.
    :raises PackageInvalid: a member is damaged.
    """
    names = [name for name in (TOSCA_META, *package.definitions) if name in archive]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as vnfd:
        for name in names:
            with vnfd.open(zipfile.ZipInfo(name, _EPOCH), "w") as member:
                for chunk in archive.chunks(name):
                    member.write(chunk)

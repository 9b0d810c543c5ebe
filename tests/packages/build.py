"""Makes a CSAR of a source tree: ``python build.py sample-asg sample-asg.zip``.

The manifest (the ``.mf`` file in the root of the tree) holds metadata only; the builder adds the digest of every other
file. The same tree gives the same bytes. Standard library only, so that it runs anywhere.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_csar(source_dir: Path, out_path: Path) -> Path:
    """Pack ``source_dir`` into ``out_path`` and give ``out_path`` back. :raises OSError: a file cannot be read or written."""
    files = {path.relative_to(source_dir).as_posix(): path for path in source_dir.rglob("*") if path.is_file()}
    with zipfile.ZipFile(out_path, "w") as csar:
        for name, path in sorted(files.items(), key=lambda item: (not item[0].startswith("TOSCA-Metadata/"), item)):
            content = path.read_bytes()
            if "/" not in name and name.endswith(".mf"):
                content += _entries({other: place for other, place in files.items() if other != name})
            csar.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return out_path


def _entries(files: dict[str, Path]) -> bytes:
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(files.items())}
    return "".join(f"\nSource: {n}\nAlgorithm: SHA-256\nHash: {digest}\n" for n, digest in digests.items()).encode()


if __name__ == "__main__":
    build_csar(Path(sys.argv[1]), Path(sys.argv[2]))

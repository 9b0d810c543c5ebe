"""Zip files and texts that want to harm."""

from __future__ import annotations

import stat
import struct
import zipfile

from forestay_csar import Limits

from tests.packages.bad.making import (
    HOT,
    Bad,
    also,
    files,
    member,
    patched,
    raw,
    special,
)
from tests.packages.third_party import csar
from tests.packages.vnfd import (
    TOP,
)

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))


ZIPS: dict[str, Bad] = {
    "empty file": raw("zip-corrupt", b""),
    "no zip": raw("zip-corrupt", b"this is no zip"),
    "end of zip only": raw("zip-corrupt", b"PK\x05\x06" + b"\xff" * 18),
    "wrong checksum of a member": patched("zip-corrupt", 16, b"\0\0\0\0"),
    "member longer than it says": patched("zip-corrupt", 24, struct.pack("<L", 10), bytes(1 << 20)),
    "member shorter than it says": patched("zip-corrupt", 24, struct.pack("<L", 10_000)),
    "bomb of one member": member("zip-ratio", "Files/zeros", bytes(40 << 20), zipfile.ZIP_DEFLATED),
    "bomb of many members": files("zip-ratio", lambda: csar() | {f"Files/{n}": bytes(8 << 20) for n in range(5)}),
    "bomb of overlapping members": patched("zip-overlap", 42, b"\0\0\0\0"),
    "too many members": files(
        "zip-member-count", lambda: csar() | {f"Files/{n}": b"" for n in range(Limits().members)}
    ),
    "huge directory": files("zip-directory-size", lambda: csar() | {f"Files/{n:0500}": b"" for n in range(9000)}),
    "out of the package": member("zip-name-traversal", "../../etc/cron.d/evil"),
    "out of the package, deeper": member("zip-name-traversal", "Files/../../evil"),
    "dot in the path": member("zip-name-traversal", "./Files/x"),
    "absolute path": member("zip-name-absolute", "/etc/passwd"),
    "drive letter": member("zip-name-absolute", "C:/Windows/x"),
    "backslashes": member("zip-name-characters", "Files\\..\\x"),
    "escape sequence in a name": member("zip-name-characters", "Files/\x1b[2J"),
    "long name": member("zip-name-length", "Files/" + "n" * 600),
    "one name twice": member("zip-duplicate", TOP),
    "file and folder of one name": member("zip-duplicate", f"{TOP}/x"),
    "symbolic link": member("zip-link", special(stat.S_IFLNK), b"/etc/passwd"),
    "pipe": member("zip-link", special(stat.S_IFIFO)),
    "password": patched("zip-encrypted", 8, b"\x01\x00"),
    "bzip2": member("zip-compression", "Files/x", b"x" * 100, zipfile.ZIP_BZIP2),
}
TEXTS: dict[str, Bad] = {
    "alias bomb": also("yaml-bomb", "Definitions/more.yaml", LAUGHS.encode()),
    "deep YAML": also("yaml-bomb", "Definitions/more.yaml", b"[" * 100_000),
    "many values": also("yaml-bomb", "Definitions/more.yaml", b"a: [" + b"1," * 300_000 + b"]"),
    "alias in itself": also("yaml-alias", "Definitions/more.yaml", b"self: &self [*self]"),
    "endless number": also("yaml-number", "Definitions/more.yaml", b"n: " + b"9" * 5000),
    "object of Python": also("yaml-syntax", TOP, b"x: !!python/object/apply:os.system [id]"),
    "syntax": also("yaml-syntax", TOP, b"a: 1\nb: [1, 2\nc: 3\n"),
    "two documents": also("yaml-syntax", TOP, b"a: 1\n---\nb: 2\n"),
    "list": also("yaml-type", TOP, b"- a list"),
    "not UTF-8": also("text-encoding", TOP, b"text: \xff\xfe"),
    "U+0000": also("text-nul", TOP, b"text: a\x00b"),
    "huge YAML": also("text-size", "Definitions/more.yaml", b"#" * (Limits().text + 1)),
    "huge YAML in many files": files(
        "text-total-size", lambda: csar() | {f"Definitions/{n}.yaml": b"#" * (2 << 20) for n in range(9)}
    ),
    "large model": also("vnfd-size", HOT, b"# " + b"x" * 1_000_000 + b"\na: 1"),
}

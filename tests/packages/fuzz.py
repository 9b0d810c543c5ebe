"""Fuzzes the reader of packages: ``python -m tests.packages.fuzz --seconds 60``, as ``just fuzz`` does.

Good and bad packages are mutated as bytes, as zips and as texts inside zips. Whatever comes of it, the inspection ends soon, with
a report that is JSON, and within its memory. An attempt follows from the seed and its number; the package that broke the
reader is kept.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import shutil
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
from forestay_csar import Policy, Report, inspect

from tests.packages import bad, keys, third_party

MEMORY = 300 << 20
LONGEST = 10.0
_HEADERS = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06")
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_WORDS = (
    b"", b"null", b"[]", b"{}", b"-1", b"1e999", b"&a [*a]", b"*a", b"!!binary x", b"? ", b"---", b"\x00", b"\xff", b"../../x",
    b"{get_input: x}", b"{get_param: [nfv, VDU]}", b"tosca.nodes.nfv.VNF", b"<<: *a", b"9" * 300, b"[" * 100, b"%", b"\t",
    b"-----BEGIN CMS-----", b"Source: x", b"Hash:", b"non_mano_artifact_sets:",
)  # fmt: skip

Mutate = Callable[[bytes, Random], bytes]


def flip(data: bytes, chance: Random) -> bytes:
    """Other values for a few bytes."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        out[chance.randrange(len(out))] = chance.randrange(256)
    return bytes(out)


def cut(data: bytes, chance: Random) -> bytes:
    """A piece missing, or twice, or the end."""
    start, end = sorted(chance.randrange(len(data)) for _ in range(2))
    return chance.choice((data[:start], data[:start] + data[end:], data[:end] + data[start:]))


def renumber(data: bytes, chance: Random) -> bytes:
    """A strange number in one of the zip's headers."""
    places = [at for header in _HEADERS for at in _all(data, header)]
    if not places:
        return flip(data, chance)
    at, size = chance.choice(places) + chance.randrange(4, 46), chance.choice((1, 2, 4))
    number = (chance.choice(_NUMBERS) & (256**size - 1)).to_bytes(size, "little")
    return data[:at] + number + data[at + size :]


def rewrite(data: bytes, chance: Random) -> bytes:
    """A text in the package changed, and all packed anew."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as read:
            members = {name: read.read(name) for name in read.namelist()[:50] if read.getinfo(name).file_size < 1 << 20}
    except Exception:  # noqa: BLE001 - a package that no zip reader understands is mutated as bytes
        return flip(data, chance)
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(list(members)) if members else "vnfd.yaml"
        members[name] = _retext(members.get(name, b""), chance)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as write:
        for name, content in members.items():
            write.writestr(name, content)
    return out.getvalue()


def _retext(text: bytes, chance: Random) -> bytes:
    lines = text.split(b"\n")
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    word = chance.choice(_WORDS)
    key, colon, _ = lines[at].partition(b": ")
    changed = chance.choice((
        [*lines[:at], *lines[at + 1 :]],
        [*lines[:at], lines[other], *lines[at:]],
        [*lines[:at], key + colon + word, *lines[at + 1 :]],
        [*lines[:at], b"  " + lines[at], *lines[at + 1 :]],
        [*lines[:at], lines[at].replace(b"tosca", word), *lines[at + 1 :]],
        [flip(lines[at], chance) if lines[at] else word if n == at else line for n, line in enumerate(lines)],
        lines * chance.choice((1, 2, 50)),
    ))  # fmt: skip
    return b"\n".join(changed)


def _all(data: bytes, part: bytes) -> list[int]:
    places: list[int] = []
    at = data.find(part)
    while at >= 0 and len(places) < 100:
        places.append(at)
        at = data.find(part, at + 1)
    return places


_MUTATIONS: tuple[Mutate, ...] = (flip, cut, renumber, rewrite, rewrite, rewrite)


def seeds(folder: Path) -> list[bytes]:
    """All packages that we have, as long as they are small."""
    paths = [third_party.write(name, folder) for name in third_party.PACKAGES]
    contents = [path.read_bytes() for path in paths] + [bad.write(name, folder).read_bytes() for name in bad.BAD]
    return [content for content in contents if 0 < len(content) < 100_000]


def attempt(content: bytes, file: Path) -> None:
    """:raises Exception: the reader broke."""
    file.write_bytes(content)
    policy = Policy(trust_anchors=keys.root().pem.decode())
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    report = inspect(file, policy=policy)
    faulthandler.cancel_dump_traceback_later()
    read = msgspec.json.decode(msgspec.json.encode(report), type=Report)
    assert read.findings == report.findings
    assert (report.package is None) == any(finding.severity == "error" for finding in report.findings)


def _peak() -> int:
    """Bytes of memory that this program had at most; the kernel's ``ru_maxrss`` begins with that of who started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def fuzz(seconds: float, seed: str, folder: Path) -> int:
    """Exit status: 1 when the reader broke; ``folder`` has the package then."""
    known = seeds(folder)
    before = _peak()
    end, number, file = time.monotonic() + seconds, 0, folder / "attempt.zip"
    while time.monotonic() < end:
        chance = Random(f"{seed}/{number}")
        content = chance.choice(known)
        for _ in range(chance.randint(1, 3)):
            content = chance.choice(_MUTATIONS)(content or b"\0", chance)
        try:
            attempt(content, file)
        except Exception:  # noqa: BLE001 - any at all
            traceback.print_exc()
            sys.stderr.write(f"attempt {number} of seed {seed} broke the reader: {file}\n")
            return 1
        number += 1
    peak = _peak()
    sys.stdout.write(
        f"{number} packages in {seconds:g} s, seed {seed}; memory {peak >> 20} MiB, {before >> 20} before\n"
    )
    return int(peak > MEMORY)


def main() -> int:
    """Entry point."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--seed", default="forestay")
    arguments.add_argument("--folder", type=Path, help="where the package is kept that breaks the reader")
    given = arguments.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    status = fuzz(given.seconds, given.seed, folder)
    if status == 0 and given.folder is None:
        shutil.rmtree(folder)
    return status


if __name__ == "__main__":
    sys.exit(main())

"""Reads a package in a process of its own: what a hostile package does there (memory, CPU, a crash) ends there.

The process gets the path and answers on its standard output: one JSON object, what was read or why it was refused. It knows
no credentials, yields the CPU to everybody else, and cannot take more memory than ``MEMORY``.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

import msgspec
from forestay_csar import PackageInvalid, ReadPackage, read_package
from forestay_events.errors import Permanent, Retryable

MEMORY = 2 << 30


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A :class:`PackageInvalid` on its way between two processes."""

    rule: str
    detail: str
    file: str | None = None
    line: int | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the process answers: one of both."""

    package: ReadPackage | None = None
    refusal: Refusal | None = None


async def read_apart(path: Path, *, timeout: float) -> ReadPackage:  # noqa: ASYNC109
    """Read and judge a VNF package in a process apart.

    :param timeout: seconds that it may take.
    :raises PackageInvalid: the package breaks a rule.
    :raises Permanent: it takes too long.
    :raises Retryable: the process ended without an answer.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        str(path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("FORESTAY_")},
    )
    try:
        async with asyncio.timeout(timeout):
            answered, complaint = await process.communicate()
    except TimeoutError:
        raise Permanent(f"Reading the package takes longer than {timeout:g} seconds.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last_words = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise Retryable(f"Reading the package ended with code {process.returncode}. {last_words}".strip())
    outcome = msgspec.json.decode(answered, type=Outcome)
    if outcome.refusal is not None:
        refusal = outcome.refusal
        raise PackageInvalid(refusal.rule, refusal.detail, file=refusal.file, line=refusal.line)
    assert outcome.package is not None, "an outcome is a package or a refusal"  # noqa: S101
    return outcome.package


def _outcome(path: Path) -> Outcome:
    try:
        return Outcome(package=read_package(path))
    except PackageInvalid as error:
        refusal = Refusal(rule=error.rule, detail=error.detail, file=error.file, line=error.line)
        return Outcome(refusal=refusal)


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.nice(10)
    sys.stdout.buffer.write(msgspec.json.encode(_outcome(Path(sys.argv[1]))))


if __name__ == "__main__":
    _main()

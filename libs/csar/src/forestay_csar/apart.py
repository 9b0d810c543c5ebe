"""Reads a package in a process of its own: what a hostile package does there (memory, CPU, a crash) ends there.

The process gets the path, and the policy on its standard input, and answers on its standard output: the report of the
inspection as one JSON object. It knows no credentials, yields the CPU to everybody else, and cannot take more memory than
``MEMORY``.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

import msgspec
from forestay_events.errors import Permanent, Retryable

from forestay_csar.findings import PackageInvalid
from forestay_csar.reader import ReadPackage, Report, inspect
from forestay_csar.signature import Policy

MEMORY = 2 << 30


async def read_apart(path: Path, *, timeout: float, policy: Policy) -> ReadPackage:  # noqa: ASYNC109
    """Read and judge a VNF package in a process apart.

    :param timeout: seconds that it may take.
    :param policy: what is asked of signatures.
    :raises PackageInvalid: the package breaks a rule.
    :raises Permanent: it takes too long.
    :raises Retryable: the process ended without an answer.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        str(path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("FORESTAY_")},
    )
    try:
        async with asyncio.timeout(timeout):
            answered, complaint = await process.communicate(msgspec.json.encode(policy))
    except TimeoutError:
        raise Permanent(f"Reading the package takes longer than {timeout:g} seconds.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last_words = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise Retryable(f"Reading the package ended with code {process.returncode}. {last_words}".strip())
    report = msgspec.json.decode(answered, type=Report)
    if report.package is None:
        raise PackageInvalid.of(report.findings)
    return report.package


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.nice(10)
    policy = msgspec.json.decode(sys.stdin.buffer.read(), type=Policy)
    sys.stdout.buffer.write(msgspec.json.encode(inspect(Path(sys.argv[1]), policy=policy)))


if __name__ == "__main__":
    _main()

"""A process and its background work: how it ends, what it says last, and who may connect to it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from forestay_events.errors import ForestayError, Permanent, Unavailable
from forestay_sol.background import background
from forestay_standalone.embedded import EmbeddedNats

#: As ``asyncio.wait_for`` of Python 3.11 may do.
SWALLOWED = """os.kill(os.getpid(), signal.SIGTERM)
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                pass
            await until_stopped()"""
SILENT_THREAD = """import concurrent.futures, time
            concurrent.futures.ThreadPoolExecutor(1).submit(time.sleep, 60)"""


def program(main: str, *, endless: bool = False) -> list[str]:
    """A Python program that runs ``main``, the body of a coroutine function."""
    text = f"""
        import asyncio, os, signal
        import structlog
        from forestay_events.errors import Permanent
        from forestay_sol.background import background
        from forestay_sol.process import run_process, until_stopped

        async def main():
            {main}

        run_process("forestay-test", main, endless={endless})
    """
    return [sys.executable, "-c", textwrap.dedent(text)]


@pytest.mark.parametrize(
    ("main", "endless", "status", "err"),
    [
        ("pass", False, 0, ""),
        ("return 3", False, 3, ""),
        ("raise Permanent('The disk is full.')", False, 1, "forestay-test: The disk is full.\n"),
        ("open('/nowhere/file')", False, 1, "forestay-test: [Errno 2] No such file or directory: '/nowhere/file'\n"),
        ("os.kill(os.getpid(), signal.SIGTERM); await until_stopped()", True, 0, ""),
        ("os.kill(os.getpid(), signal.SIGINT); await until_stopped()", False, 128 + signal.SIGINT, ""),
        (SWALLOWED, True, 0, ""),
        (SILENT_THREAD, False, 0, ""),
    ],
)
def test_how_a_process_ends(main: str, endless: bool, status: int, err: str) -> None:
    ended = subprocess.run(program(main, endless=endless), capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stderr) == (status, err)


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    ended = subprocess.run(program("{}['x']"), capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert "KeyError: 'x'" in ended.stderr


def test_nothing_that_is_logged_before_logging_is_set_up_shows_local_variables() -> None:
    main = """password = "s3cret"
            try:
                raise ValueError("wrong")
            except ValueError:
                structlog.get_logger().exception("failed")"""
    ended = subprocess.run(program(main), capture_output=True, text=True, timeout=20, check=False)
    assert "ValueError: wrong" in ended.stdout
    assert "s3cret" not in ended.stdout.replace('password = "s3cret"', "")


async def test_background_work_runs_while_the_block_runs() -> None:
    ran: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ran.append("ended")

    async with background({"work": work}):
        await asyncio.sleep(0)
    assert ran == ["ended"]


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (Unavailable("NATS does not answer"), Unavailable, "NATS does not answer"),
        (KeyError("x"), Permanent, "work ended by an error that nobody expected: KeyError: 'x'"),
    ],
)
async def test_an_error_in_background_work_ends_the_block(
    error: Exception, raised: type[ForestayError], words: str
) -> None:
    async def work() -> None:
        raise error

    async def done() -> None:
        return

    with pytest.raises(raised, match=words):
        async with background({"work": work, "done": done}):
            await asyncio.sleep(5)


async def test_a_failure_as_the_block_ends_is_not_lost() -> None:
    async def work() -> None:
        raise Permanent("too late")

    with pytest.raises(Permanent, match="too late"):
        async with background({"work": work}):
            await asyncio.sleep(0)


async def test_who_cancels_the_block_from_outside_gets_a_cancellation() -> None:
    async def block() -> None:
        async with background({}):
            await asyncio.sleep(5)

    task = asyncio.create_task(block())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_block_passes_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with background({}):
            raise ZeroDivisionError


async def test_a_service_alone_obeys_the_rule_about_strangers(
    nats_server: EmbeddedNats, database: str, tmp_path: Path
) -> None:
    environment = os.environ | {
        "FORESTAY_NATS_URL": nats_server.url,
        "FORESTAY_DATABASE_URL": database,
        "FORESTAY_DATA_DIR": str(tmp_path),
        "FORESTAY_LISTEN_HOST": "0.0.0.0",  # noqa: S104
        "FORESTAY_LISTEN_PORT": "0",
    }
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "forestay_monitor"],
        capture_output=True, text=True, timeout=30, check=False, env=environment,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("forestay-monitor: Authentication is off")
    assert "FORESTAY_ALLOW_UNAUTHENTICATED" in ended.stderr

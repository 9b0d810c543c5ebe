"""A process of Forestay: its event loop, its signals, its last words and its exit status.

* SIGINT and SIGTERM cancel the main coroutine once, so that everything is closed in order; further ones change nothing.
* An error that we know is one sentence on standard error and status 1. Any other is a mistake of ours, with traceback.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from forestay_events.errors import ForestayError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_process(
    program: str, main: Callable[[], Coroutine[Any, Any, int | None]], *, endless: bool = False
) -> NoReturn:
    """Run ``main`` and leave the process with the status that it returns (``None`` is 0).

    :param program: stands before the sentence on standard error.
    :param endless: a signal is how ``main`` is meant to end: status 0 then, else 128 and the number of the signal.
    """
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            status = runner.run(_until_signal(main, endless))
    except (ForestayError, OSError) as error:
        sys.stderr.write(f"{program}: {error}\n")
        status = 1
    _leave(status or 0)


async def until_stopped() -> NoReturn:
    """Wait until this task is cancelled, also when a library has swallowed the cancellation before."""
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        await asyncio.Event().wait()
    raise asyncio.CancelledError


async def _until_signal(main: Callable[[], Coroutine[Any, Any, int | None]], endless: bool) -> int | None:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if not received and task is not None:
            task.cancel()
        received.append(number)

    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        return await main()
    except asyncio.CancelledError:
        if not received:
            raise
        return 0 if endless else 128 + received[0]


def _leave(status: int) -> NoReturn:
    """A thread in which a blocking SDK still waits for a silent cloud must not hold up the end."""
    if threading.active_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one: a quarter less time per request."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop

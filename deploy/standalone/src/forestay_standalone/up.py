"""``forestay up``: everything in one process until it is told to stop."""

from __future__ import annotations

import sys
import time

from forestay_events.telemetry import configure_logging, configure_tracing
from forestay_sol.process import until_stopped

from forestay_standalone.all_in_one import all_in_one
from forestay_standalone.substrate import Options, substrate


async def up(options: Options) -> None:
    """:raises ForestayError: one sentence: what is in the way and what to do."""
    started = time.monotonic()
    configure_logging("forestay", options.log_level)
    flush = configure_tracing("forestay")
    try:
        async with substrate(options) as config, all_in_one(config) as (_, url):
            try:
                _say(f"Forestay is ready at {url} after {time.monotonic() - started:.1f} s")
                _say(f"  data in {config.data_dir}; health at {url}/health/ready; Ctrl-C stops it")
                await until_stopped()
            finally:
                _say("Stopping ...")
    finally:
        flush()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()

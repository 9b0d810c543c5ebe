"""``python -m forestay_simvim``: serve until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys

from forestay_simvim.config import SimConfig
from forestay_simvim.simulator import OpenStackSimulator


async def _serve(host: str, port: int, config: SimConfig) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with OpenStackSimulator(config).serve(host, port) as sim:
        ready = {"url": sim.url, "auth_url": sim.auth_url, "env": sim.openrc()}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="forestay_simvim", description="A simulated OpenStack on one port.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--tacker-endpoint", metavar="URL", help="VNF manager to name in the catalog")
    parser.add_argument("--token-lifetime", type=float, default=86_400.0, help="seconds (default: %(default)s)")
    args = parser.parse_args()
    config = SimConfig(tacker_endpoint=args.tacker_endpoint, token_lifetime=args.token_lifetime)
    asyncio.run(_serve(args.host, args.port, config))


if __name__ == "__main__":
    main()

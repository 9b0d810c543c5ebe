"""``python -m forestay_lcm``: the API and the engine; ``python -m forestay_lcm openstack-worker``: a driver worker."""

from __future__ import annotations

import sys

from forestay_sol.service import run_service

from forestay_lcm.app import PROCESSES


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "lcm"
    if name not in PROCESSES or len(sys.argv) > 2:
        sys.exit(f"usage: forestay-lcm [{'|'.join(PROCESSES)}]")
    run_service(name, PROCESSES[name])


if __name__ == "__main__":
    main()

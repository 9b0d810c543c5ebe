"""``python -m forestay_monitor``: the service in a process of its own."""

from __future__ import annotations

from forestay_sol.service import run_service

from forestay_monitor.app import build


def main() -> None:
    """Run until told to stop."""
    run_service("monitor", build)


if __name__ == "__main__":
    main()

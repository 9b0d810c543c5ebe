"""``python -m forestay_policy``: the service in a process of its own."""

from __future__ import annotations

from forestay_sol.service import run_service

from forestay_policy.app import build


def main() -> None:
    """Run until told to stop."""
    run_service("policy", build)


if __name__ == "__main__":
    main()

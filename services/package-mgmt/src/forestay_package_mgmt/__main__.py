"""``python -m forestay_package_mgmt``: the service in a process of its own."""

from __future__ import annotations

from forestay_sol.service import run_service

from forestay_package_mgmt.app import build


def main() -> None:
    """Run until told to stop."""
    run_service("package-mgmt", build)


if __name__ == "__main__":
    main()

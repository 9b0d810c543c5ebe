"""``python -m forestay_vim_registry``: the VIM registry as a process of its own."""

from __future__ import annotations

from forestay_sol.service import run_service

from forestay_vim_registry.app import build


def main() -> None:
    run_service("vim-registry", build)


if __name__ == "__main__":
    main()

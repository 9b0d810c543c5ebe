"""Errors that scripts raise or catch. A class that is not here is made on demand: scripts only need its name."""

from __future__ import annotations

from typing import Any


class SolException(Exception):
    """An error with a sentence; ``sol_detail`` overrides it."""

    message = "An error occurred."

    def __init__(self, *arguments: object, sol_detail: str | None = None, **members: Any) -> None:
        text = sol_detail or (str(arguments[0]) if arguments else self.message)
        super().__init__(text if not members else f"{text} {members}")
        self.detail = str(self)


class SolHttpError400(SolException):
    status = 400


class SolHttpError404(SolException):
    status = 404


class SolHttpError409(SolException):
    status = 409


class SolHttpError422(SolException):
    status = 422


def __getattr__(name: str) -> type[SolException]:
    if name.startswith("_"):
        raise AttributeError(name)
    globals()[name] = made = type(name, (SolHttpError422,), {})
    return made

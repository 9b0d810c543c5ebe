"""The decorator by which scripts of Tacker's first API have their calls logged."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def log(method: Callable[P, R]) -> Callable[P, R]:
    """The method, which says at level ``DEBUG`` that it is called; not with what, which may be secret."""

    @functools.wraps(method)
    def logged(*args: P.args, **kwargs: P.kwargs) -> R:
        logging.getLogger(method.__module__).debug("%s is called.", method.__qualname__)
        return method(*args, **kwargs)

    return logged

"""The base class of user data for Tacker's first API."""

from __future__ import annotations

import abc
from typing import Any

Json = dict[str, Any]


class AbstractUserData(metaclass=abc.ABCMeta):
    """Makes the parameters of a stack. ``heal`` and ``scale`` may be there too (:mod:`_calling` says what they get)."""

    @staticmethod
    @abc.abstractmethod
    def instantiate(
        base_hot_dict: Json | None = None,
        vnfd_dict: Json | None = None,
        inst_req_info: Any = None,
        grant_info: Any = None,
    ) -> Json: ...

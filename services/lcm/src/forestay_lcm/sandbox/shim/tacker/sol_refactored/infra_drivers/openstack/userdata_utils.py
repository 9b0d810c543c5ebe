"""The base class of user data, and the functions of common_script_utils under the name that older packages use."""

# The tree has two names: scripts know it as `tacker`.
# ruff: noqa: TID252
from __future__ import annotations

import abc
from typing import Any

from ...common.common_script_utils import *  # noqa: F403 - that is this module's other half

Json = dict[str, Any]


class AbstractUserData(metaclass=abc.ABCMeta):
    """Makes the Heat request of an operation. Each method gives a map of members of Heat's request.

    ``parameters`` is merged onto the stack's (RFC 7396); so is a ``template`` that is a map, while one that is text replaces the
    stack's; with ``existing: False`` everything is replaced.
    """

    @staticmethod
    @abc.abstractmethod
    def instantiate(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json: ...

    @staticmethod
    def scale(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        raise NotImplementedError("scale")

    @staticmethod
    def scale_rollback(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        raise NotImplementedError("scale_rollback")

    @staticmethod
    def change_ext_conn(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        raise NotImplementedError("change_ext_conn")

    @staticmethod
    def change_ext_conn_rollback(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        raise NotImplementedError("change_ext_conn_rollback")

    @staticmethod
    def heal(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        raise NotImplementedError("heal")

    @staticmethod
    def change_vnfpkg(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        raise NotImplementedError("change_vnfpkg")

    @staticmethod
    def change_vnfpkg_rollback(req: Json, inst: Json, grant_req: Json, grant: Json, tmp_csar_dir: str) -> Json:
        raise NotImplementedError("change_vnfpkg_rollback")

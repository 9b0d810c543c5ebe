"""The refusals of the VIM API, named as Tacker names its exception classes; the name is the ``type`` of the TackerError.

Tacker answers most of them 500; here they have the status that says whose fault it is:

===========================  ======  ==================================================
VimNotFoundException         404     no such VIM in the project
DuplicateEntity              409     the name is taken in the project
VimDefaultDuplicateException 409     the project has another default VIM
VimInUseException            409     a VNF instance lives on the VIM
VimUnauthorizedException     401     the VIM answers, but refuses the credentials
VimConnectionException       502     the VIM does not answer, or not as a VIM
===========================  ======  ==================================================
"""

from __future__ import annotations

from forestay_events.errors import Permanent, Rejected


class VimUnauthorized(Rejected):
    """The VIM refuses the credentials."""

    def __init__(self, detail: str) -> None:
        super().__init__(401, detail, title="VimUnauthorizedException")


class VimUnreachable(Permanent):
    """The VIM cannot be talked to: it does not answer, its certificate is not trusted, or it is no VIM of that type."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, status=502, title="VimConnectionException")


def not_found(vim_id: str) -> Rejected:
    detail = f"Specified VIM id {vim_id[:80]} is invalid. Please verify and pass a valid VIM id."
    return Rejected(404, detail, title="VimNotFoundException")


def duplicate_name(name: str) -> Rejected:
    return Rejected(409, f"vim already exist with given name {name}.", title="DuplicateEntity")


def duplicate_default(default_id: str) -> Rejected:
    detail = f"Default VIM already exists {default_id}. Set its is_default to False first."
    return Rejected(409, detail, title="VimDefaultDuplicateException")


def in_use(vim_id: str, vnf_id: str) -> Rejected:
    detail = f"VIM {vim_id} is still in use by VNF {vnf_id}. Terminate what is instantiated on it first."
    return Rejected(409, detail, title="VimInUseException")


def bad_input(detail: str, pointer: str) -> Rejected:
    return Rejected(400, detail, pointer=pointer, title="InvalidInput")

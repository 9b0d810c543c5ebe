"""What a request names, looked up in the VNFD and among the VIMs before anything is started.

Each refusal points at the member at fault.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from forestay_events.errors import Rejected
from forestay_lcm.domain.commands import ChangeFlavour, ChangeVnfPkg, Instantiate
from forestay_lcm.domain.connections import place_of
from forestay_lcm.domain.plan import driver_of
from forestay_lcm.domain.state import Vnf
from forestay_sol.faults import pointer
from forestay_sol.vnfd import Flavour, Vnfd
from forestay_sol.vnflcm import (
    ExtManagedVirtualLinkData,
    ExtVirtualLinkData,
    TaskRequest,
    VimConnectionInfo,
    VimConnections,
)

USER_DATA = ("lcm-operation-user-data", "lcm-operation-user-data-class")
"""Additional parameters that name a user data script and the class in it (wire section 3.5)."""

HIDDEN_PARAMETERS = "parameters_secret"
"""Member of what a user data class has said: the stack's parameters that a template may hide, under a name that is sealed."""

_KINDS: tuple[tuple[str, type | tuple[type, ...]], ...] = (
    ("true or false", bool), ("a number", (int, float)), ("a string", str), ("an object", dict), ("a list", (list, tuple)),
)  # fmt: skip
"""JSON's kinds of values; the first that fits is the kind, since a bool is an int too."""


def vim_of(vnf: Vnf, request: TaskRequest, connections: VimConnections, *, nfvo: bool) -> VimConnectionInfo:
    """The VIM that an operation works on, as far as that is known before the grant.

    :param connections: those that the request adds or changes; ``nfvo`` and errors are those of :func:`place_of`.
    """
    known = vnf.vim_connections | connections
    return place_of(known, vnf.instantiated_vnf_info, msgspec.to_builtins(request), nfvo=nfvo)


def feasible(
    vnf: Vnf, command: Instantiate | ChangeFlavour | ChangeVnfPkg, vnfd: Vnfd, flavour: Flavour, member: str
) -> None:
    """Whether a VNF can get a flavour: what it is made from, its links, its properties.

    :param member: of the request, that names what has the flavour.
    :raises Rejected: 400 or 422, the request or the VIM does not have what the flavour needs.
    """
    request = command.request
    vim = vim_of(vnf, request, command.vim_connections, nfvo=command.nfvo)
    _deployable(flavour, driver_of(vim.vim_type), member)
    declared(vnfd, extensions=request.extensions, properties=request.vnf_configurable_properties)
    external_links(flavour, request.ext_virtual_links)
    _managed_links(flavour, request.ext_managed_virtual_links)


def new_flavour(vnfd: Vnfd, flavour_id: str, member: str) -> Flavour:
    """:raises Rejected: 400, the VNFD has no such flavour; the pointer is to ``member`` of the request."""
    if flavour_id not in vnfd.flavours:
        known = ", ".join(sorted(vnfd.flavours))
        detail = f"Invalid {member} '{flavour_id}': VNFD {vnfd.vnfd_id!r} has {known}."
        raise Rejected(400, detail, pointer=f"/{member}")
    return vnfd.flavours[flavour_id]


def _deployable(flavour: Flavour, driver: str, member: str) -> None:
    """:raises Rejected: 422, the VNFD lacks what the driver makes the flavour from."""
    servers = flavour.vdus and not any(vdu.container_ids for vdu in flavour.vdus.values())
    if driver == "openstack" and flavour.base_hot is None and not servers:
        detail = f"Flavour {flavour.id!r} has no BaseHOT, and no servers that OpenStack could make without one."
        raise Rejected(422, detail, pointer=f"/{member}")


def declared(vnfd: Vnfd, *, extensions: Any, properties: Any) -> None:
    """A VNFD that declares extensions or configurable properties knows no others; one that declares none takes any.

    A null, which takes a member away, may name any.

    :raises Rejected: 400, unknown, or of another kind than the default that the VNFD gives.
    """
    for member, given, known in (
        ("extensions", extensions, vnfd.extensions),
        ("vnfConfigurableProperties", properties, vnfd.configurable_properties),
    ):
        if known and isinstance(given, Mapping):
            _declared(member, given, known)


def _declared(member: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if value is None:
            continue
        where = pointer([member, name])
        if name not in known:
            detail = f"{member} of the VNFD are {', '.join(sorted(known))}; it has no '{name}'."
            raise Rejected(400, detail, pointer=where)
        kind = _kind(known[name])
        if kind and _kind(value) != kind:
            raise Rejected(400, f"'{name}' of {member} is {kind} according to the VNFD.", pointer=where)


def _kind(value: Any) -> str | None:
    return next((kind for kind, types in _KINDS if isinstance(value, types)), None)


def user_data(params: Mapping[str, Any] | None) -> None:
    """:raises Rejected: 400, a user data script without its class, the other way round, or no text."""
    given = params or {}
    for name, other in (USER_DATA, USER_DATA[::-1]):
        if name in given and other not in given:
            raise Rejected(400, f"'{name}' needs '{other}' beside it.", pointer=pointer(["additionalParams", other]))
        if not isinstance(given.get(name, ""), str):
            raise Rejected(400, f"'{name}' is a string.", pointer=pointer(["additionalParams", name]))


def external_links(flavour: Flavour, links: Iterable[ExtVirtualLinkData]) -> None:
    """:raises Rejected: 400, a link or a cpdId is named twice, the latter is no external CP of the flavour, or a port that is
    used is not given."""
    known = flavour.external_cpds()
    link_of: dict[str, int] = {}
    ids: set[str] = set()
    for link_at, link in enumerate(links):
        if link.id in ids:
            detail = f"Another external virtual link has the id '{link.id}': put all that is connected to it into one."
            raise Rejected(400, detail, pointer=pointer(["extVirtualLinks", link_at, "id"]))
        ids.add(link.id)
        ports = {port.id for port in link.ext_link_ports}
        for cp_at, cp in enumerate(link.ext_cps):
            where = ["extVirtualLinks", link_at, "extCps", cp_at]
            if cp.cpd_id not in known:
                names = ", ".join(sorted(known)) or "none"
                detail = f"Invalid cpdId '{cp.cpd_id}': the external CPs of flavour {flavour.id!r} are {names}."
                raise Rejected(400, detail, pointer=pointer([*where, "cpdId"]))
            if link_of.setdefault(cp.cpd_id, link_at) != link_at:
                detail = f"cpdId '{cp.cpd_id}' is on another link of this request, too: it is connected to one network."
                raise Rejected(400, detail, pointer=pointer([*where, "cpdId"]))
            for key, config in cp.cp_config.items():
                if config.link_port_id and config.link_port_id not in ports:
                    raise Rejected(
                        400,
                        f"linkPortId '{config.link_port_id}' is not among the extLinkPorts of link {link.id}.",
                        pointer=pointer([*where, "cpConfig", key, "linkPortId"]),
                    )


def _managed_links(flavour: Flavour, links: Iterable[ExtManagedVirtualLinkData]) -> None:
    """:raises Rejected: 400, what is to be replaced is no internal virtual link of the flavour."""
    for at, link in enumerate(links):
        if link.vnf_virtual_link_desc_id not in flavour.virtual_links:
            known = ", ".join(sorted(flavour.virtual_links)) or "none"
            raise Rejected(
                400,
                f"Invalid vnfVirtualLinkDescId '{link.vnf_virtual_link_desc_id}': flavour {flavour.id!r} has {known}.",
                pointer=pointer(["extManagedVirtualLinks", at, "vnfVirtualLinkDescId"]),
            )


def vnfcs(ids: Iterable[str], known: Collection[str]) -> None:
    """:raises Rejected: 400, a vnfcInstanceId (SOL002: the id of a VnfcInfo) is unknown."""
    for at, vnfc in enumerate(ids):
        if vnfc not in known:
            names = ", ".join(sorted(known)) or "none"
            detail = f"Invalid vnfcInstanceId '{vnfc}': the VNF has {names}."
            raise Rejected(400, detail, pointer=pointer(["vnfcInstanceId", at]))

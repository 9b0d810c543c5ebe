"""The service catalog: one endpoint per service and interface, all on the simulator's own port."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from forestay_simvim.table import Row

_SERVICES = (
    ("keystone", "identity", "/identity"),
    ("heat", "orchestration", "/heat-api/v1/{project}"),
    ("nova", "compute", "/compute/v2.1"),
    ("neutron", "network", "/networking"),
    ("glance", "image", "/image"),
    ("cinder", "volumev3", "/volume/v3/{project}"),
    ("cinder", "block-storage", "/volume/v3/{project}"),
    ("placement", "placement", "/placement"),
)


def _id(*parts: str) -> str:
    return uuid5(NAMESPACE_URL, "/".join(parts)).hex


def catalog(base: str, region: str, project: str, tacker_endpoint: str | None) -> list[Row]:
    """The ``catalog`` member of a token scoped to *project*, for a client that reached the simulator at *base*."""
    services = [(name, type_, base + path.format(project=project)) for name, type_, path in _SERVICES]
    if tacker_endpoint:
        services.append(("tacker", "nfv-orchestration", tacker_endpoint))
    return [
        {"id": _id(type_), "name": name, "type": type_, "endpoints": _endpoints(type_, url, region)}
        for name, type_, url in services
    ]


def _endpoints(type_: str, url: str, region: str) -> list[dict[str, Any]]:
    return [
        {"id": _id(type_, face), "interface": face, "region": region, "region_id": region, "url": url}
        for face in ("public", "internal", "admin")
    ]

"""The Placement API's front door only: clients that follow the catalog find a version document there."""

from __future__ import annotations

from typing import Any

from forestay_simvim.nova.api import error_body
from forestay_simvim.web import Call, Service


def versions(call: Call) -> dict[str, Any]:
    links = [{"rel": "self", "href": ""}]
    return {
        "versions": [{"id": "v1.0", "max_version": "1.39", "min_version": "1.0", "status": "CURRENT", "links": links}]
    }


SERVICE = Service(
    name="placement",
    prefix="/placement",
    error_body=error_body,
    open_routes=(("GET", "", versions), ("GET", "/", versions)),
    routes=(),
)

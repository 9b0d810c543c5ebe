"""The two forms in which the same VNF packages are served: API v1 as OpenStack Tacker speaks it, API v2 of SOL005 and SOL003."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from forestay_sol.api import VNFPKGM_V1, VNFPKGM_V2, Api
from forestay_sol.listing import Listing
from forestay_sol.paging import Paging, sol_link, v1_link
from forestay_sol.selectors import Attributes

from forestay_package_mgmt.domain.state import Package
from forestay_package_mgmt.projections import SCHEMA
from forestay_package_mgmt.projections.representation import ATTRIBUTES, ATTRIBUTES_V2, info, info_v2, resource

Json = dict[str, Any]


@dataclass(frozen=True)
class Edition:
    """One form of the API.

    :ivar packages: path of the resource ``vnf_packages``.
    :ivar view: where the representations of this form are read.
    :ivar info: the representation of a package, for an answer that need not wait for the read model.
    :ivar attributes: what selectors and filters may name.
    :ivar location: URI of a package, for ``Location``.
    :ivar linked: completes a representation that was read.
    :ivar several_ranges: whether a download may ask for several ranges at once; Tacker answers 400.
    :ivar not_onboarded: status of a change of the operational state before onboarding; Tacker answers 400.
    """

    api: Api
    packages: str
    view: str
    info: Callable[[Package], Json]
    attributes: Attributes
    listing: Listing
    location: Callable[[str], str]
    linked: Callable[[Json], Json]
    several_ranges: bool
    not_onboarded: int

    @property
    def package(self) -> str:
        """Path of an individual package."""
        return f"{self.packages}/{{vnfPkgId}}"


def edition_v1(page_size: int) -> Edition:
    """API v1: links and ``Location`` are paths, which stand in the stored representation.

    :param page_size: entries of a page of the list, 0: all.
    """
    view = f"{SCHEMA}.vnf_package"
    return Edition(
        api=VNFPKGM_V1,
        packages=f"{VNFPKGM_V1.prefix}/vnf_packages",
        view=view,
        info=info,
        attributes=ATTRIBUTES,
        listing=Listing(
            table=view, attributes=ATTRIBUTES, paging=Paging(size=page_size, link=v1_link, all_records=True)
        ),
        location=resource,
        linked=lambda document: document,
        several_ranges=False,
        not_onboarded=400,
    )


def edition_v2(page_size: int, endpoint: str) -> Edition:
    """API v2: links are absolute URIs.

    :param endpoint: URL of the API as clients see it, without a slash at the end.
    """
    view, packages = f"{SCHEMA}.vnf_package_v2", f"{VNFPKGM_V2.prefix}/vnf_packages"

    def location(package_id: str) -> str:
        return f"{endpoint}{packages}/{package_id}"

    def linked(document: Json) -> Json:
        uri = location(document["id"])
        links = {"self": uri, "vnfd": f"{uri}/vnfd", "packageContent": f"{uri}/package_content"}
        return document | {"_links": {name: {"href": href} for name, href in links.items()}}

    return Edition(
        api=VNFPKGM_V2,
        packages=packages,
        view=view,
        info=info_v2,
        attributes=ATTRIBUTES_V2,
        listing=Listing(table=view, attributes=ATTRIBUTES_V2, paging=Paging(size=page_size, link=sol_link)),
        location=location,
        linked=linked,
        several_ranges=True,
        not_onboarded=409,
    )


ONBOARDED_PACKAGES = f"{VNFPKGM_V2.prefix}/onboarded_vnf_packages"
ONBOARDED_PACKAGE = f"{ONBOARDED_PACKAGES}/{{vnfdId}}"


def onboarded_uri(endpoint: str, vnfd_id: str) -> str:
    """URI of a package in the tree of SOL003, by its VNFD id."""
    return f"{endpoint}{ONBOARDED_PACKAGES}/{quote(vnfd_id, safe='')}"

"""The resource "Subscriptions" of VNF package management: ``pkg.subscription.<id>`` in stream PKG, beside the packages."""

from __future__ import annotations

from forestay_notify.api import Resource
from forestay_notify.subscription import definition
from forestay_sol.api import VNFPKGM_V2

from forestay_package_mgmt.domain.decide import PACKAGE
from forestay_package_mgmt.projections import SCHEMA
from forestay_package_mgmt.subscriptions.filters import PkgmSubscriptionRequest

PKGM_SUBSCRIPTIONS = Resource(
    name="PkgmSubscription",
    path="/vnfpkgm/v2/subscriptions",
    api=VNFPKGM_V2,
    request=PkgmSubscriptionRequest,
    schema=SCHEMA,
    definition=definition(PACKAGE.stream, "PkgmSubscription"),
    version="2.4.0",
    verbose=False,
)

"""VnfInstanceSubscriptionFilter (SOL003 4.4.1.5), which LCM and FM subscriptions share, as wants and facts of the index.

Rules: members are ANDed, values ORed; an empty list is as good as none. A product tree is wanted by its leaves, each of which is
the path that leads to it; an instance has all paths to its product. An instance without a name has no name that anybody wants. A
version may be given as a number, as some clients of Tacker do: it is as good as its text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from forestay_sol.types import Identifier, Sol

from forestay_notify.filter_index import Facts, Wanted

Version = str | int | float


class ProductVersions(Sol, frozen=True, kw_only=True):
    """A software version, and of it certain VNFD versions."""

    vnf_software_version: Version
    vnfd_versions: tuple[Version, ...] = ()


class Products(Sol, frozen=True, kw_only=True):
    """A product, and of it certain versions."""

    vnf_product_name: str
    versions: tuple[ProductVersions, ...] = ()


class ProductsFromProvider(Sol, frozen=True, kw_only=True):
    """A provider, and of it certain products."""

    vnf_provider: str
    vnf_products: tuple[Products, ...] = ()


class VnfInstanceSubscriptionFilter(Sol, frozen=True, kw_only=True):
    """Which VNF instances."""

    vnfd_ids: tuple[Identifier, ...] = ()
    vnf_products_from_providers: tuple[ProductsFromProvider, ...] = ()
    vnf_instance_ids: tuple[Identifier, ...] = ()
    vnf_instance_names: tuple[str, ...] = ()


def wanted_instances(filter_: VnfInstanceSubscriptionFilter | None) -> Wanted:
    """What the filter wants of the facts of :func:`instance_facts`."""
    if filter_ is None:
        return {}
    wanted = {
        "vnfdIds": filter_.vnfd_ids,
        "vnfProductsFromProviders": wanted_products(filter_.vnf_products_from_providers),
        "vnfInstanceIds": filter_.vnf_instance_ids,
        "vnfInstanceNames": filter_.vnf_instance_names,
    }
    return {attribute: values for attribute, values in wanted.items() if values}


def instance_facts(
    *, vnf_id: str, name: str | None, vnfd_id: str, provider: str, product: str, software: str, vnfd_version: str
) -> Facts:
    """What an instance is."""
    return {
        "vnfdIds": (vnfd_id,),
        "vnfProductsFromProviders": product_paths(provider, product, software, vnfd_version),
        "vnfInstanceIds": (vnf_id,),
        "vnfInstanceNames": () if name is None else (name,),
    }


def wanted_products(providers: tuple[ProductsFromProvider, ...]) -> tuple[str, ...]:
    """What a product tree wants of :func:`product_paths`."""
    return tuple(_leaves(providers))


def product_paths(provider: str, product: str, software: str, vnfd_version: str) -> tuple[str, ...]:
    """The paths to a product, as facts."""
    path = (provider, product, software, vnfd_version)
    return tuple(json.dumps(path[:length]) for length in range(1, 5))


def _leaves(providers: tuple[ProductsFromProvider, ...]) -> Iterator[str]:
    for provider in providers:
        for product in provider.vnf_products or (None,):
            for version in (product.versions if product else ()) or (None,):
                for vnfd_version in (version.vnfd_versions if version else ()) or (None,):
                    path = (
                        provider.vnf_provider,
                        product and product.vnf_product_name,
                        version and version.vnf_software_version,
                        vnfd_version,
                    )
                    yield json.dumps([str(step) for step in path if step is not None])

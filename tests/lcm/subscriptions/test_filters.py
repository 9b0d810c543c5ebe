"""Filters of LCM subscriptions: the index, compared with the words of the standard read literally."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from forestay_lcm.subscriptions.filters import LifecycleChangeNotificationsFilter, wanted
from forestay_notify.filter_index import FilterIndex
from forestay_notify.vnf_filter import instance_facts
from hypothesis import given
from hypothesis import strategies as st

Json = dict[str, Any]

WORDS = ("a", "b")
OCCURRENCE, CREATION = "VnfLcmOperationOccurrenceNotification", "VnfIdentifierCreationNotification"

words = st.lists(st.sampled_from(WORDS), max_size=2)
versions = st.fixed_dictionaries({"vnfSoftwareVersion": st.sampled_from(WORDS)}, optional={"vnfdVersions": words})
products = st.fixed_dictionaries(
    {"vnfProductName": st.sampled_from(WORDS)}, optional={"versions": st.lists(versions, max_size=2)}
)
providers = st.fixed_dictionaries(
    {"vnfProvider": st.sampled_from(WORDS)}, optional={"vnfProducts": st.lists(products, max_size=2)}
)
instance_filters = st.fixed_dictionaries(
    {},
    optional={
        "vnfdIds": words,
        "vnfProductsFromProviders": st.lists(providers, max_size=2),
        "vnfInstanceIds": words,
        "vnfInstanceNames": words,
    },
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "vnfInstanceSubscriptionFilter": instance_filters,
        "notificationTypes": st.lists(st.sampled_from((OCCURRENCE, CREATION)), max_size=2),
        "operationTypes": st.lists(st.sampled_from(("SCALE", "HEAL")), max_size=2),
        "operationStates": st.lists(st.sampled_from(("STARTING", "FAILED")), max_size=2),
    },
)
events = st.fixed_dictionaries(
    {
        "type": st.sampled_from((OCCURRENCE, CREATION)),
        "operation": st.sampled_from(("SCALE", "HEAL")),
        "state": st.sampled_from(("STARTING", "FAILED")),
        "name": st.sampled_from((None, *WORDS)),
    }
    | {
        member: st.sampled_from(WORDS)
        for member in ("vnf_id", "vnfd_id", "provider", "product", "software", "vnfd_version")
    }
)


def one_of(values: list[Any], value: Any) -> bool:
    return not values or value in values


def product_matches(tree: list[Json], event: Json) -> bool:
    """Every level that is given narrows the one above."""
    return not tree or any(
        provider["vnfProvider"] == event["provider"]
        and (
            not provider.get("vnfProducts")
            or any(
                product["vnfProductName"] == event["product"]
                and (
                    not product.get("versions")
                    or any(
                        version["vnfSoftwareVersion"] == event["software"]
                        and one_of(version.get("vnfdVersions", []), event["vnfd_version"])
                        for version in product["versions"]
                    )
                )
                for product in provider["vnfProducts"]
            )
        )
        for provider in tree
    )


def naive(filter_: Json, event: Json) -> bool:
    instances = cast("Json", filter_.get("vnfInstanceSubscriptionFilter", {}))
    occurrence = event["type"] == OCCURRENCE
    return (
        one_of(filter_.get("notificationTypes", []), event["type"])
        and (not occurrence or one_of(filter_.get("operationTypes", []), event["operation"]))
        and (not occurrence or one_of(filter_.get("operationStates", []), event["state"]))
        and one_of(instances.get("vnfdIds", []), event["vnfd_id"])
        and one_of(instances.get("vnfInstanceIds", []), event["vnf_id"])
        and one_of(instances.get("vnfInstanceNames", []), event["name"])
        and product_matches(instances.get("vnfProductsFromProviders", []), event)
    )


def facts(event: Json) -> dict[str, Any]:
    members = ("vnf_id", "name", "vnfd_id", "provider", "product", "software", "vnfd_version")
    found = {**instance_facts(**{member: event[member] for member in members}), "notificationTypes": (event["type"],)}
    if event["type"] == OCCURRENCE:
        found |= {"operationTypes": (event["operation"],), "operationStates": (event["state"],)}
    return found


@given(st.lists(filters, max_size=12), st.lists(events, min_size=1, max_size=6))
def test_as_the_standard_says(given_: list[Json], happened: list[Json]) -> None:
    index = FilterIndex()
    for number, filter_ in enumerate(given_):
        kept = msgspec.to_builtins(msgspec.convert(filter_, LifecycleChangeNotificationsFilter))
        index.put(str(number), wanted(kept))
    for event in happened:
        expected = [str(number) for number, filter_ in enumerate(given_) if naive(filter_, event)]
        assert sorted(index.match(facts(event))) == sorted(expected)


def test_a_version_as_a_number_is_its_text() -> None:
    def leaves(software: Any, vnfd_version: Any) -> Any:
        version = {"vnfSoftwareVersion": software, "vnfdVersions": [vnfd_version]}
        product = {"vnfProductName": "product", "versions": [version]}
        tree = [{"vnfProvider": "provider", "vnfProducts": [product]}]
        return wanted({"vnfInstanceSubscriptionFilter": {"vnfProductsFromProviders": tree}})

    assert leaves(1.0, 2) == leaves("1.0", "2")


def test_without_a_filter_everything() -> None:
    assert wanted(None) == wanted({}) == {}

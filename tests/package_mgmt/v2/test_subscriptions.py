"""Who is told what about packages: the notifications of SOL005, their filters, and that nothing else is told."""

from __future__ import annotations

from typing import Any

from tests.notify.receiver import receiver
from tests.package_mgmt.service.conftest import Json
from tests.package_mgmt.v2.conftest import ONBOARDED, PACKAGES, V2, Client, Clients

SUBSCRIPTIONS = f"{V2}/subscriptions"


async def _life(client: Client, csar: bytes) -> Json:
    """A package from onboarding to deletion."""
    info = await client.onboard(csar)
    path = f"{PACKAGES}/{info['id']}"
    await client.ask("PATCH", path, {"userDefinedData": {"told": "no"}})
    await client.ask("PATCH", path, {"operationalState": "DISABLED"})
    assert (await client.ask("DELETE", path)).status == 204
    return info


async def test_a_package_is_told_of_from_onboarding_to_deletion(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client, receiver() as subscriber:
        made = await client.ask("POST", SUBSCRIPTIONS, {"callbackUri": subscriber.uri()})
        assert made.status == 201
        path = f"{SUBSCRIPTIONS}/{made.body['id']}"
        assert await client.get(path) == made.body
        assert made.body.keys() == {"id", "callbackUri", "_links"}
        assert [each["id"] for each in await client.get(SUBSCRIPTIONS)] == [made.body["id"]]
        info = await _life(client, asg)
        onboarded, disabled, deleted = [each.body for each in await subscriber.until(3, within=60)]
        common = {"subscriptionId": made.body["id"], "vnfPkgId": info["id"], "vnfdId": info["vnfdId"]}
        for told in (onboarded, disabled, deleted):
            assert {name: told[name] for name in common} == common
            assert told["_links"]["vnfPackage"] == info["_links"]["self"]
            assert told["_links"]["vnfPackageByVnfdId"]["href"].endswith(f"{ONBOARDED}/{info['vnfdId']}")
            assert told["_links"]["subscription"] == made.body["_links"]["self"]
            assert told.keys() & {"id", "timeStamp"} == {"id", "timeStamp"}
        assert (onboarded["notificationType"], onboarded["vnfmInfo"]) == (
            "VnfPackageOnboardingNotification", info["vnfmInfo"],
        )  # fmt: skip
        assert disabled["notificationType"] == deleted["notificationType"] == "VnfPackageChangeNotification"
        assert (disabled["changeType"], disabled["operationalState"]) == ("OP_STATE_CHANGE", "DISABLED")
        assert deleted["changeType"] == "PKG_DELETE"
        assert "operationalState" not in deleted
        assert {received.headers["Version"] for received in subscriber.accepted} == {"2.4.0"}

        assert (await client.ask("DELETE", path)).status == 204
        assert (await client.ask("GET", path)).status == 404


ONBOARDING, CHANGE = "VnfPackageOnboardingNotification", "VnfPackageChangeNotification"


#: Filters, and what they let through of the life of a package.
FILTERS: list[tuple[Json, list[str]]] = [
    ({"notificationTypes": ONBOARDING}, [ONBOARDING]),
    ({"notificationTypes": [CHANGE]}, [CHANGE, CHANGE]),
    ({"vnfdId": ["{vnfdId}"], "notificationTypes": [ONBOARDING]}, [ONBOARDING]),
    ({"vnfdId": ["another"]}, []),
    ({"vnfPkgId": ["another"]}, []),
    ({"notificationTypes": [CHANGE], "operationalState": ["ENABLED"]}, []),
    ({"notificationTypes": [CHANGE], "usageState": "NOT_IN_USE"}, [CHANGE, CHANGE]),
    ({"vnfmInfo": ["another"]}, []),
    ({"vnfProductsFromProviders": [{"vnfProvider": "{vnfProvider}", "vnfProducts": [
        {"vnfProductName": "{vnfProductName}"}]}]}, [ONBOARDING, CHANGE, CHANGE]),
    ({"vnfProductsFromProviders": [{"vnfProvider": "another"}]}, []),
]  # fmt: skip


async def test_filters(clients: Clients, asg: bytes) -> None:
    async with clients.running() as client, receiver() as subscriber:
        known = await client.onboard(asg)
        await client.ask("PATCH", f"{PACKAGES}/{known['id']}", {"operationalState": "DISABLED"})
        await client.ask("DELETE", f"{PACKAGES}/{known['id']}")
        for number, (filter_, _) in enumerate(FILTERS):
            wanted = _filled(filter_, known)
            made = await client.ask(
                "POST", SUBSCRIPTIONS, {"callbackUri": subscriber.uri(f"/{number}"), "filter": wanted}
            )
            assert (made.status, made.body["filter"]) == (201, wanted)
        await client.ask("POST", SUBSCRIPTIONS, {"callbackUri": subscriber.uri("/all")})
        await _life(client, asg)
        await subscriber.until(3 + sum(len(told) for _, told in FILTERS), within=60)
        for number, (filter_, told) in enumerate(FILTERS):
            received = [each.body["notificationType"] for each in subscriber.accepted if each.path == f"/{number}"]
            assert received == told, filter_


async def test_a_subscription_that_cannot_be_is_refused(clients: Clients) -> None:
    async with clients.running() as client:
        bad = {"callbackUri": "http://127.0.0.1:9/x"}
        assert (await client.ask("POST", SUBSCRIPTIONS, bad)).status == 422
        wrong = bad | {"filter": {"usageState": "SOMETIMES"}}
        assert (await client.ask("POST", SUBSCRIPTIONS, wrong)).status == 400


def _filled(value: Any, known: Json) -> Any:
    """A filter with ``{name}`` replaced by what the package has there."""
    if isinstance(value, dict):
        return {name: _filled(each, known) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, known) for each in value]
    return value.format(**known) if isinstance(value, str) else value

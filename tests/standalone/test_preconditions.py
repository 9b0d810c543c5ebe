"""``ETag``, ``If-None-Match`` and ``If-Match`` on what the services besides LCM have."""

from __future__ import annotations

from tests.standalone.site import Json, Reply, TestSite, site

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
PACKAGES = "/vnfpkgm/v2/vnf_packages"


def tag_of(reply: Reply) -> str:
    """Its ``ETag``, however the client writes the header's name."""
    return next(value for name, value in reply.headers.items() if name.lower() == "etag")


async def test_only_what_was_seen_is_changed() -> None:
    async with site() as ready:
        package = (await ready.ask("POST", PACKAGES, {})).body
        policy = (await ready.ask("POST", "/policy/v1/policies", {"name": "p", "do": "notify"})).body
        vim = (await ready.ask("POST", "/v1.0/vims", ready.cloud.vim())).body["vim"]
        # In v1 it is the same package: who has seen it there may change it here.
        seen = tag_of(await ready.ask("GET", f"/vnfpkgm/v1/vnf_packages/{package['id']}"))
        uri = f"{PACKAGES}/{package['id']}"
        changed = await ready.ask("PATCH", uri, {"userDefinedData": {"a": "b"}}, **MERGE_PATCH, **{"If-Match": seen})
        assert changed.status == 200
        await only_what_was_seen(ready, uri, stale=seen)
        await only_what_was_seen(ready, f"/policy/v1/policies/{policy['id']}", stale='"0-000000000000"')
        before = tag_of(await ready.ask("GET", f"/v1.0/vims/{vim['id']}"))
        update: Json = {"vim": {"description": "other"}}
        for status in (200, 412):
            updated = await ready.ask("PUT", f"/v1.0/vims/{vim['id']}", update, **{"If-Match": before})
            assert updated.status == status, updated
        assert "TackerError" in updated.body
        await only_what_was_seen(ready, f"/v1.0/vims/{vim['id']}", stale=before)


async def only_what_was_seen(ready: TestSite, uri: str, *, stale: str) -> None:
    """Read it again only if it is another, and delete it only as it was read."""
    tag = tag_of(await ready.ask("GET", uri))
    assert (await ready.ask("GET", uri, **{"If-None-Match": tag})).status == 304
    assert (await ready.ask("GET", uri, **{"If-None-Match": stale})).status == 200
    assert "If-Match" in (await ready.ask("DELETE", uri, **{"If-Match": stale})).sentence
    assert (await ready.ask("DELETE", uri, **{"If-Match": tag})).status == 204

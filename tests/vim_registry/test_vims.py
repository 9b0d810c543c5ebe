"""The resource over HTTP: what a client sees while nothing goes wrong."""

from __future__ import annotations

from collections.abc import Callable

from forestay_simvim import OpenStackSimulator

from tests.vim_registry.conftest import SECRET, Json, Serve, Server

Body = Callable[..., Json]


async def test_the_life_of_a_vim(server: Server, openstack: OpenStackSimulator, vim: Body) -> None:
    made = await server.register(vim(description="lab", is_default=True, extra={"area": "a@RegionOne"}))
    assert made["auth_url"] == openstack.auth_url
    assert made["auth_cred"] == vim()["auth_cred"] | {"password": "***"}
    assert made["placement_attr"] == {"regions": ["RegionOne"]}
    assert made["status"] == "ACTIVE"
    assert made["tenant_id"] == "default"
    assert made["updated_at"] is None
    assert (made["type"], made["description"], made["is_default"]) == ("openstack", "lab", True)

    for path in (f"/{made['id']}", f"/{made['id']}.json"):
        assert await server.ask("GET", path) == (200, {"vim": made})
    assert await server.ask("GET") == (200, {"vims": [made]})
    assert await server.ask("GET", ".json") == (200, {"vims": [made]})

    changes = {"name": "renamed", "description": "", "is_default": "False", "extra": {"more": 1}}
    status, content = await server.ask("PUT", f"/{made['id']}", json={"vim": changes})
    assert status == 200
    updated = content["vim"]
    assert updated["extra"] == {"area": "a@RegionOne", "more": 1}
    assert (updated["name"], updated["description"], updated["is_default"]) == ("renamed", "", False)
    assert updated["updated_at"] > updated["created_at"]
    assert await server.ask("GET", f"/{made['id']}") == (200, {"vim": updated})

    assert await server.ask("DELETE", f"/{made['id']}.json") == (204, None)
    assert await server.refused("GET", f"/{made['id']}") == (404, "VimNotFoundException")
    assert await server.refused("DELETE", f"/{made['id']}") == (404, "VimNotFoundException")
    assert await server.ask("GET") == (200, {"vims": []})

    again = await server.register(vim("renamed", is_default=True))
    assert again["id"] != made["id"]


async def test_an_application_credential_is_a_login_and_replaces_a_password(
    server: Server, openstack: OpenStackSimulator, vim: Body
) -> None:
    identity = openstack.cloud.identity
    user = {"name": "demo", "password": SECRET, "domain": {"name": "Default"}}
    project = {"name": "demo", "domain": {"name": "Default"}}
    password = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": {"project": project}}
    owned = identity.add_application_credential(identity.authenticate(password), "forestay")
    login = {"application_credential_id": owned["id"], "application_credential_secret": owned["_secret"]}
    made = await server.register(vim())
    status, content = await server.ask("PUT", f"/{made['id']}", json={"vim": {"auth_cred": login}})
    assert status == 200
    shown = content["vim"]["auth_cred"]
    assert shown["application_credential_secret"] == "***"
    assert not {"username", "password"} & shown.keys()
    wrong = login | {"application_credential_secret": "no"}
    refused = await server.refused("POST", json={"vim": vim("other", auth_cred=wrong)})
    assert refused[1] == "VimUnauthorizedException"


async def test_the_index_names_the_collection(server: Server) -> None:
    async with server.http.get("/v1.0/") as response:
        assert response.status == 200
        resources = (await response.json())["resources"]
    assert [(it["name"], it["collection"]) for it in resources] == [("vim", "vims")]
    assert resources[0]["links"][0]["href"].endswith("/v1.0/vims")


async def test_an_answer_can_be_sent_back_as_an_update(
    server: Server, openstack: OpenStackSimulator, vim: Body
) -> None:
    made = await server.register(vim())
    masked = {name: made[name] for name in ("name", "auth_cred", "vim_project", "extra")}
    assert masked["auth_cred"]["password"] == "***"
    assert (await server.ask("PUT", f"/{made['id']}", json={"vim": masked}))[0] == 200
    assert len(openstack.journal.entries(service="keystone", method="POST", path="/auth/tokens")) == 2


async def test_lists_are_filtered_cut_and_paged(server: Server, vim: Body) -> None:
    status, content = await server.ask("POST", json={"vims": [vim("a", is_default=True), vim("b"), vim("c")]})
    assert status == 201
    ids = {it["name"]: it["id"] for it in content["vims"]}

    async def names(**query: str) -> set[str]:
        status, content = await server.ask("GET", params=query)
        assert status == 200
        return {it["name"] for it in content["vims"]}

    assert await names(name="b") == {"b"}
    assert await names(id=ids["c"], name="c") == {"c"}
    assert await names(id=ids["c"], name="a") == set()
    assert await names(is_default="True") == {"a"}
    assert await names(type="openstack", status="ACTIVE") == {"a", "b", "c"}
    assert await server.ask("GET", "?fields=id&name=b") == (200, {"vims": [{"id": ids["b"]}]})
    assert await server.ask("GET", f"/{ids['b']}?fields=name") == (200, {"vim": {"name": "b"}})
    assert (await server.ask("GET", "?name=a&name=b&fields=name"))[1]["vims"].__len__() == 2

    seen: list[str] = []
    path = "?limit=2&fields=name&fields=id"
    while path:
        status, content = await server.ask("GET", path)
        assert len(content["vims"]) <= 2
        seen += [it["name"] for it in content["vims"]]
        following = [it["href"] for it in content.get("vims_links", []) if it["rel"] == "next"]
        path = "?" + following[0].partition("?")[2] if following else ""
    assert sorted(seen) == ["a", "b", "c"]


async def test_bad_queries_are_named(server: Server) -> None:
    for query in ("?nmae=x", "?limit=-1", "?limit=x"):
        assert await server.refused("GET", query) == (400, "InvalidInput")


async def test_vims_of_another_project_do_not_exist(serve: Serve, vim: Body) -> None:
    async with serve() as ours, serve("other") as theirs:
        made = await ours.register(vim(is_default=True))
        path = f"/{made['id']}"
        assert await theirs.refused("GET", path) == (404, "VimNotFoundException")
        assert await theirs.refused("PUT", path, json={"vim": {"name": "x"}}) == (404, "VimNotFoundException")
        assert await theirs.refused("DELETE", path) == (404, "VimNotFoundException")
        assert await theirs.ask("GET") == (200, {"vims": []})
        await theirs.register(vim(is_default=True))
        given = await theirs.register(vim("given", tenant_id="default"))
        assert given["tenant_id"] == "default"
        await ours.until(given["id"], name="given")


async def test_a_replica_reads_what_another_wrote(serve: Serve, vim: Body) -> None:
    async with serve() as one, serve() as other:
        made = await one.register(vim())
        assert await other.ask("GET", f"/{made['id']}") == (200, {"vim": made})
        assert (await other.ask("PUT", f"/{made['id']}", json={"vim": {"description": "there"}}))[0] == 200
        assert (await one.ask("PUT", f"/{made['id']}", json={"vim": {"name": "here"}}))[0] == 200
        shown = (await other.ask("GET", f"/{made['id']}"))[1]["vim"]
        assert (shown["name"], shown["description"]) == ("here", "there")
        assert (await other.ask("DELETE", f"/{made['id']}"))[0] == 204
        assert await one.refused("DELETE", f"/{made['id']}") == (404, "VimNotFoundException")


async def test_secrets_change_with_new_credentials_only_after_they_were_tried(server: Server, vim: Body) -> None:
    made = await server.register(vim())
    path = f"/{made['id']}"
    wrong = {"vim": {"auth_cred": {"password": "stale"}}}
    assert await server.refused("PUT", path, json=wrong) == (401, "VimUnauthorizedException")
    right = {"vim": {"auth_cred": {"username": "admin", "password": "admin-secret"}, "vim_project": {"name": "admin"}}}
    status, content = await server.ask("PUT", path, json=right)
    assert status == 200
    assert content["vim"]["auth_cred"] == vim()["auth_cred"] | {"username": "admin", "password": "***"}
    assert content["vim"]["vim_project"] == {"name": "admin", "project_domain_name": "Default"}
    assert SECRET not in str(content)
    assert await server.events() == ["VimRegistered", "VimUpdated"]

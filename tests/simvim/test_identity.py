"""Keystone: tokens, scope, expiry, catalog; and that every service checks the token."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession
from forestay_simvim import Account, OpenStackSimulator, SimConfig

from tests.simvim.conftest import Api


async def test_wrong_password_and_unknown_project_are_401(api: Api) -> None:
    assert (await api.login(password="wrong")).status == 401
    user = {"name": "demo", "password": "demo-secret", "domain": {"name": "Default"}}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": "nobody", "domain": {"id": "default"}}},
    }
    status, body = await api.call("POST", "/identity/v3/auth/tokens", {"auth": auth})
    assert (status, body["error"]["title"]) == (401, "Unauthorized")


async def test_token_method_rescopes(api: Api) -> None:
    auth = {"identity": {"methods": ["token"], "token": {"id": api.token}}, "scope": {"project": {"id": api.project}}}
    status, body = await api.call("POST", "/identity/v3/auth/tokens", {"auth": auth})
    assert status == 201
    assert body["token"]["project"]["id"] == api.project
    assert {each["type"] for each in body["token"]["catalog"]} >= {
        "identity", "orchestration", "compute", "network", "image", "volumev3", "placement",
    }  # fmt: skip


async def test_an_unscoped_token_has_no_project(api: Api) -> None:
    user = {"name": "demo", "password": "demo-secret", "domain": {"name": "Default"}}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
    status, body = await api.call("POST", "/identity/v3/auth/tokens", {"auth": auth})
    assert status == 201
    assert not {"project", "catalog"} & body["token"].keys()


async def test_show_and_revoke_a_token(api: Api) -> None:
    subject = {"headers": {"X-Subject-Token": api.token}}
    status, body = await api.call("GET", "/identity/v3/auth/tokens", **subject)
    assert (status, body["token"]["user"]["name"]) == (200, "demo")
    assert (await api.call("DELETE", "/identity/v3/auth/tokens", **subject))[0] == 204
    assert (await api.call("GET", "/identity/v3/projects"))[0] == 401


@pytest.mark.parametrize(
    "path",
    ["/heat-api/v1/x/stacks", "/compute/v2.1/servers", "/networking/v2.0/networks", "/image/v2/images",
     "/volume/v3/x/volumes", "/identity/v3/projects"],
)  # fmt: skip
async def test_every_service_checks_the_token(api: Api, path: str) -> None:
    api.token = "not-a-token"
    status, body = await api.call("GET", path)
    assert status == 401
    assert "requires authentication" in str(body)


async def test_another_projects_path_is_forbidden(api: Api) -> None:
    assert (await api.call("GET", "/heat-api/v1/other/stacks"))[0] == 403


async def test_tokens_expire() -> None:
    async with OpenStackSimulator(SimConfig(token_lifetime=0.05)).serve() as sim, ClientSession() as session:
        api = Api(sim, session)
        await api.login()
        assert (await api.call("GET", "/compute/v2.1/servers"))[0] == 200
        await asyncio.sleep(0.06)
        assert (await api.call("GET", "/compute/v2.1/servers"))[0] == 401


async def test_the_vnf_manager_is_in_the_catalog_when_asked() -> None:
    config = SimConfig(tacker_endpoint="http://127.0.0.1:9890/")
    async with OpenStackSimulator(config).serve() as sim, ClientSession() as session:
        api = Api(sim, session)
        reply = await api.login()
        assert reply.status == 201
        _, body = await api.call("GET", "/identity/v3/auth/catalog")
        urls = {row["type"]: row["endpoints"][0]["url"] for row in body["catalog"]}
        assert urls["nfv-orchestration"] == "http://127.0.0.1:9890/"


async def test_an_admin_makes_a_project_and_a_user(api: Api, sim: OpenStackSimulator) -> None:
    assert (await api.call("POST", "/identity/v3/projects", {"project": {"name": "p"}}))[0] == 403
    await api.login(sim.cloud.config.accounts[1])
    _, made = await api.call("POST", "/identity/v3/projects", {"project": {"name": "p"}})
    assert (await api.call("POST", "/identity/v3/projects", {"project": {"name": "p"}}))[0] == 409
    _, user = await api.call("POST", "/identity/v3/users", {"user": {"name": "u", "password": "s"}})
    _, roles = await api.call("GET", "/identity/v3/roles?name=member")
    ids = made["project"]["id"], user["user"]["id"], roles["roles"][0]["id"]
    assert (await api.call("PUT", "/identity/v3/projects/{}/users/{}/roles/{}".format(*ids)))[0] == 204
    assert (await api.login(Account("u", "s", "p"))).status == 201


async def test_an_application_credential_is_a_login_without_a_scope(api: Api) -> None:
    _, me = await api.call("GET", "/identity/v3/auth/tokens", headers={"X-Subject-Token": api.token})
    path = f"/identity/v3/users/{me['token']['user']['id']}/application_credentials"
    status, made = await api.call("POST", path, {"application_credential": {"name": "forestay"}})
    given = {key: made["application_credential"][key] for key in ("id", "secret")}
    assert status == 201
    identity = {"methods": ["application_credential"], "application_credential": given}
    status, body = await api.call("POST", "/identity/v3/auth/tokens", {"auth": {"identity": identity}})
    assert (status, body["token"]["project"]["id"]) == (201, api.project)
    scoped = {"auth": {"identity": identity, "scope": {"project": {"id": api.project}}}}
    assert (await api.call("POST", "/identity/v3/auth/tokens", scoped))[0] == 401
    _, listed = await api.call("GET", path)
    assert "secret" not in str(listed)
    assert (await api.call("DELETE", f"{path}/{given['id']}"))[0] == 204
    assert (await api.call("POST", "/identity/v3/auth/tokens", {"auth": {"identity": identity}}))[0] == 401

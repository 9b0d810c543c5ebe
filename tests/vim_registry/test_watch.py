"""The watch: a status that is true, recorded when it changes and only then, by one replica."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from forestay_simvim import CallFault, OpenStackSimulator

from tests.vim_registry.conftest import Json, Serve

Body = Callable[..., Json]


async def test_a_vim_that_is_away_and_back_is_shown_so(serve: Serve, openstack: OpenStackSimulator, vim: Body) -> None:
    async with serve(vim_check_period=0.1) as one, serve(vim_check_period=0.1) as other:
        made = await one.register(vim())
        openstack.faults.add(CallFault(service="keystone", effect="reset", times=None))
        away = await other.until(made["id"], status="UNREACHABLE")
        assert openstack.auth_url in away["status_reason"]
        assert away["updated_at"] is None
        await asyncio.sleep(0.5)
        openstack.faults.clear()
        back = await other.until(made["id"], status="ACTIVE")
        assert back["status_reason"] == ""
        await asyncio.sleep(0.3)
        assert await one.events() == ["VimRegistered", "VimStatusChanged", "VimStatusChanged"]


async def test_a_password_that_was_changed_in_the_vim_is_noticed(
    serve: Serve, openstack: OpenStackSimulator, vim: Body
) -> None:
    async with serve(vim_check_period=0.1) as server:
        made = await server.register(vim())
        user = openstack.cloud.identity.users.find(name="demo")[0]
        user["_password"] = "new-one"
        away = await server.until(made["id"], status="UNREACHABLE")
        assert "refuses user demo" in away["status_reason"]
        update = {"vim": {"auth_cred": {"password": "new-one"}}}
        status, content = await server.ask("PUT", f"/{made['id']}", json=update)
        assert (status, content["vim"]["status"]) == (200, "ACTIVE")


async def test_one_replica_watches_and_another_takes_over(
    serve: Serve, openstack: OpenStackSimulator, vim: Body
) -> None:
    def logins() -> int:
        return len(openstack.journal.entries(service="keystone", method="POST", path="/auth/tokens"))

    async with serve(vim_check_period=0.1) as one:
        made = await one.register(vim())
        async with serve(vim_check_period=0.1):
            before, began = logins(), time.monotonic()
            async with asyncio.timeout(60):
                while logins() < before + 12:
                    await asyncio.sleep(0.01)
            seen = logins() - before
            assert seen <= (time.monotonic() - began) / 0.1 + 3, "two that watch would log in twice as often"
    async with serve(vim_check_period=0.1) as other:
        openstack.faults.add(CallFault(service="keystone", effect="reset", times=None))
        await other.until(made["id"], status="UNREACHABLE")
        assert Counter(await other.events())["VimStatusChanged"] == 1

"""The unmodified ``openstack vim ...`` commands of python-tackerclient, run as processes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from forestay_simvim import OpenStackSimulator, SimConfig

from tests.vim_registry.conftest import SECRET, Server

pytestmark = pytest.mark.client

OPENSTACK = Path(sys.executable).with_name("openstack")


async def run(simulator: OpenStackSimulator, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``openstack vim ...``."""
    process = await asyncio.create_subprocess_exec(
        OPENSTACK,
        "vim",
        *arguments,
        env={name: value for name, value in os.environ.items() if not name.startswith("OS_")} | simulator.openrc(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_life_of_a_vim(server: Server, tmp_path: Path) -> None:
    async with OpenStackSimulator(SimConfig(tacker_endpoint=server.url)).serve() as simulator:

        async def config(password: str) -> str:
            members = {
                "auth_url": simulator.auth_url,
                "username": "demo",
                "password": password,
                "project_name": "demo",
                "project_domain_name": "Default",
                "user_domain_name": "Default",
                "cert_verify": "False",
            }
            path = tmp_path / f"{password}.yaml"
            await asyncio.to_thread(path.write_text, json.dumps(members))
            return str(path)

        async def done(*arguments: str) -> Any:
            code, out, err = await run(simulator, *arguments, "-f", "json")
            assert code == 0, err
            return json.loads(out)

        wrong = run(simulator, "register", "--config-file", await config("stale-password"), "cloud")
        made, (code, out, err) = await asyncio.gather(
            done("register", "--config-file", await config(SECRET), "--description", "lab", "--is-default", "cloud"),
            wrong,
        )
        assert code != 0, out
        assert "refuses user demo" in err
        assert made["status"] == "ACTIVE"
        assert made["auth_cred"]["password"] == "***"
        listed, shown = await asyncio.gather(done("list", "--long"), done("show", "cloud"))
        assert [(row["ID"], row["Name"], row["Is Default"]) for row in listed] == [(made["id"], "cloud", True)]
        assert shown["id"] == made["id"]
        changed = await done("set", "--name", "renamed", "--config-file", await config(SECRET), made["id"])
        assert changed["name"] == "renamed"
        (code, out, err) = await run(simulator, "delete", "renamed")
        assert (code, err) == (0, "")
        assert "deleted successfully" in out
        assert await server.ask("GET") == (200, {"vims": []})

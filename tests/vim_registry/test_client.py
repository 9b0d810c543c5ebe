"""The unmodified ``openstack vim ...`` commands of python-tackerclient, run as processes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from forestay_simvim import OpenStackSimulator, SimConfig

from tests.vim_registry.conftest import SECRET, Server

pytestmark = pytest.mark.client

OPENSTACK = Path(sys.executable).with_name("openstack")


async def openstack(simulator: OpenStackSimulator, *arguments: str, commands: str = "") -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the client; without arguments it reads commands."""
    process = await asyncio.create_subprocess_exec(
        OPENSTACK,
        *arguments,
        env={name: value for name, value in os.environ.items() if not name.startswith("OS_")} | simulator.openrc(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(commands.encode())
    return process.returncode or 0, out.decode(), err.decode()


def documents(text: str) -> Iterator[Any]:
    """The JSON documents that a text begins with; then what is left of it."""
    decoder = json.JSONDecoder()
    while (text := text.lstrip())[:1] in ("{", "["):
        document, end = decoder.raw_decode(text)
        yield document
        text = text[end:]
    yield text


@pytest.fixture
def config(tmp_path: Path) -> Callable[[OpenStackSimulator, str], str]:
    """Writes a configuration file of ``vim register``; gives its name."""

    def write(simulator: OpenStackSimulator, password: str) -> str:
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
        path.write_text(json.dumps(members))
        return str(path)

    return write


async def test_the_life_of_a_vim(server: Server, config: Callable[..., str]) -> None:
    async with OpenStackSimulator(SimConfig(tacker_endpoint=server.url)).serve() as simulator:
        file = config(simulator, SECRET)
        commands = f"""
            vim register --config-file {file} --description lab --is-default cloud -f json
            vim list --long -f json
            vim show cloud -f json
            vim set --name renamed --config-file {file} cloud -f json
            vim delete renamed
        """
        _, out, err = await openstack(simulator, commands=textwrap.dedent(commands).lstrip())
    assert err == ""
    made, listed, shown, changed, rest = documents(out)
    assert (made["name"], made["status"], made["project_id"]) == ("cloud", "ACTIVE", "default")
    assert made["auth_cred"]["password"] == "***"
    assert [(row["ID"], row["Name"], row["Is Default"]) for row in listed] == [(made["id"], "cloud", True)]
    assert shown == made
    assert changed == made | {"name": "renamed", "updated_at": changed["updated_at"]}
    assert "deleted successfully" in rest
    assert await server.events() == ["VimRegistered", "VimUpdated", "VimDeleted"]


async def test_a_wrong_password_is_told_to_the_user(server: Server, config: Callable[..., str]) -> None:
    async with OpenStackSimulator(SimConfig(tacker_endpoint=server.url)).serve() as simulator:
        file = config(simulator, "stale")
        code, _, err = await openstack(simulator, "vim", "register", "--config-file", file, "cloud")
    assert code != 0
    assert "refuses user demo for project demo" in err
    assert await server.events() == []

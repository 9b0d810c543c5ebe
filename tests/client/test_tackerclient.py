"""The main job by the unmodified python-tackerclient: ``openstack`` as a process, Forestay found in Keystone's catalog."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from forestay_simvim import OpenStackSimulator, SimConfig
from forestay_standalone.all_in_one import all_in_one
from forestay_standalone.substrate import Options, substrate

from tests.flow.cloud import TestCloud
from tests.flow.scenario import PACKAGES, SAMPLES, instantiate_body
from tests.packages.build import build_csar

pytestmark = [pytest.mark.client, pytest.mark.timeout(300)]

Json = dict[str, Any]


class OpenStackClient:
    """Runs ``openstack`` with the environment of the simulated cloud."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = os.environ | environment | {"PYTHONWARNINGS": "ignore"}

    async def __call__(self, *words: str) -> Any:
        """The output of a command; JSON where the command has a format. VIMs and packages are in its version 1 only."""
        version = 2 if words[0] == "vnflcm" else 1
        formatted = bool({"list", "show", "create", "register"} & {*words})
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "openstack"),
            "--os-tacker-api-version", str(version), *words, *(("-f", "json") if formatted else ()),
            env=self._environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await process.communicate()
        assert process.returncode == 0, f"openstack {' '.join(words)}: {errors.decode()[-2000:]}"
        return json.loads(output) if formatted else output.decode()

    async def until(self, member: str, value: str, *words: str) -> Json:
        """Repeat a command until a member of its answer has a value."""
        answer: Json = {}
        for _ in range(20):
            answer = await self(*words)
            if answer[member] == value:
                return answer
        raise AssertionError(f"openstack {' '.join(words)} still has {member} {answer.get(member)}")


@pytest.fixture
async def site(tmp_data_dir: Path) -> AsyncIterator[tuple[OpenStackSimulator, str]]:
    async with (
        substrate(Options(data_dir=tmp_data_dir, port=0)) as config,
        all_in_one(config) as (_, url),
        OpenStackSimulator(SimConfig(tacker_endpoint=url)).serve() as simulator,
    ):
        yield simulator, url


async def test_main_job(site: tuple[OpenStackSimulator, str], tmp_path: Path) -> None:
    simulator, _ = site
    openstack = OpenStackClient(simulator.openrc())
    cloud = TestCloud(simulator.auth_url, "demo", "demo-secret", "demo")
    sample = SAMPLES[0]

    access = tmp_path / "vim.yaml"
    access.write_text(
        yaml.safe_dump(
            {
                "auth_url": simulator.auth_url,
                "username": "demo",
                "password": "demo-secret",
                "project_name": "demo",
                "project_domain_name": "Default",
                "user_domain_name": "Default",
                "cert_verify": "True",
                "type": "openstack",
            }
        )
    )
    vim = await openstack("vim", "register", "--config-file", str(access), "--is-default", "site1")
    assert vim["status"] == "ACTIVE"
    assert "demo-secret" not in json.dumps(vim)
    assert [item["Name"] for item in await openstack("vim", "list")] == ["site1"]

    csar = build_csar(PACKAGES / sample.name, tmp_path / "sample.zip")
    package = await openstack("vnf", "package", "create")
    await openstack("vnf", "package", "upload", "--path", str(csar), package["ID"])
    shown = await openstack.until("Onboarding State", "ONBOARDED", "vnf", "package", "show", package["ID"])
    assert len(await openstack("vnf", "package", "list")) == 1

    vnf = await openstack("vnflcm", "create", shown["VNFD ID"], "--name", "cli")
    request = tmp_path / "instantiate.json"
    request.write_text(json.dumps(await instantiate_body(cloud, sample)))
    await openstack("vnflcm", "instantiate", vnf["ID"], str(request))
    shown = await openstack.until("Instantiation State", "INSTANTIATED", "vnflcm", "show", vnf["ID"])
    assert "VDU1" in json.dumps(shown["Instantiated Vnf Info"])
    assert [item["ID"] for item in await openstack("vnflcm", "list")] == [vnf["ID"]]

    [operation] = await openstack("vnflcm", "op", "list")
    assert (operation["Operation"], operation["Operation State"]) == ("INSTANTIATE", "COMPLETED")
    shown = await openstack("vnflcm", "op", "show", operation["ID"])
    assert shown["VNF Instance ID"] == vnf["ID"]

    await openstack("vnflcm", "terminate", "--termination-type", "FORCEFUL", vnf["ID"])
    await openstack.until("Instantiation State", "NOT_INSTANTIATED", "vnflcm", "show", vnf["ID"])
    await openstack("vnflcm", "delete", vnf["ID"])
    assert await openstack("vnflcm", "list") == []
    assert await cloud.leftovers() == []

"""The main job by the unmodified python-tackerclient, in both versions of the VNF LCM API: ``openstack`` as a process, Forestay
found in Keystone's catalog.
"""

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
from tests.notify.receiver import receiver
from tests.packages.build import build_csar

pytestmark = [pytest.mark.client, pytest.mark.timeout(300)]

Json = dict[str, Any]


class OpenStackClient:
    """Runs ``openstack`` with the environment of the simulated cloud.

    :param lcm: version of the VNF LCM API.
    """

    def __init__(self, environment: dict[str, str], *, lcm: int = 2) -> None:
        self._lcm = lcm
        self._environment = os.environ | environment | {"PYTHONWARNINGS": "ignore"}

    async def __call__(self, *words: str) -> Any:
        """The output of a command; JSON where the command has a format. VIMs and packages are in its version 1 only."""
        version = self._lcm if words[0] == "vnflcm" else 1
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


async def prepared(openstack: OpenStackClient, simulator: OpenStackSimulator, tmp_path: Path) -> str:
    """Registers the VIM and onboards the package; returns the id of its VNFD."""
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

    csar = build_csar(PACKAGES / SAMPLES[0].name, tmp_path / "sample.zip")
    package = await openstack("vnf", "package", "create")
    await openstack("vnf", "package", "upload", "--path", str(csar), package["ID"])
    shown = await openstack.until("Onboarding State", "ONBOARDED", "vnf", "package", "show", package["ID"])
    assert len(await openstack("vnf", "package", "list")) == 1
    return shown["VNFD ID"]


def file(directory: Path, name: str, content: Any) -> str:
    path = directory / name
    path.write_text(json.dumps(content))
    return str(path)


async def test_main_job(site: tuple[OpenStackSimulator, str], tmp_path: Path) -> None:
    simulator, _ = site
    openstack = OpenStackClient(simulator.openrc())
    cloud = TestCloud(simulator.auth_url, "demo", "demo-secret", "demo")
    vnfd_id = await prepared(openstack, simulator, tmp_path)

    vnf = await openstack("vnflcm", "create", vnfd_id, "--name", "cli")
    request = file(tmp_path, "instantiate.json", await instantiate_body(cloud, SAMPLES[0]))
    await openstack("vnflcm", "instantiate", vnf["ID"], request)
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


async def test_main_job_in_version_1(site: tuple[OpenStackSimulator, str], tmp_path: Path) -> None:
    simulator, _ = site
    openstack = OpenStackClient(simulator.openrc(), lcm=1)
    cloud = TestCloud(simulator.auth_url, "demo", "demo-secret", "demo")
    vnfd_id = await prepared(openstack, simulator, tmp_path)

    async with receiver() as subscriber:
        subscription = await openstack(
            "vnflcm", "subsc", "create", file(tmp_path, "subscription.json", {"callbackUri": subscriber.uri()})
        )
        assert [item["ID"] for item in await openstack("vnflcm", "subsc", "list")] == [subscription["ID"]]
        vnf = await openstack("vnflcm", "create", vnfd_id, "--name", "cli", "--description", "through version 1")
        assert vnf["VNF Package ID"]
        request = await instantiate_body(cloud, SAMPLES[0])
        for link in request["extVirtualLinks"]:
            link["extCps"] = [cp | {"cpConfig": [*cp["cpConfig"].values()]} for cp in link["extCps"]]
        await openstack("vnflcm", "instantiate", vnf["ID"], file(tmp_path, "instantiate.json", request))
        shown = await openstack.until("Instantiation State", "INSTANTIATED", "vnflcm", "show", vnf["ID"])
        assert [item["ID"] for item in await openstack("vnflcm", "list")] == [vnf["ID"]]
        [told] = [each.body for each in await subscriber.until(4) if each.body.get("operationState") == "COMPLETED"]
        assert told["_links"]["vnfInstance"]["href"].endswith(f"/vnflcm/v1/vnf_instances/{vnf['ID']}")
        await openstack("vnflcm", "subsc", "delete", subscription["ID"])

    async def completed(operation: str) -> Json:
        """The newest occurrence of an operation, when it is completed."""
        listed = await openstack("vnflcm", "op", "list", "--filter", f"(eq,operation,{operation})")
        return await openstack.until("Operation State", "COMPLETED", "vnflcm", "op", "show", listed[0]["ID"])

    await openstack("vnflcm", "scale", "--type", "SCALE_OUT", "--aspect-id", "VDU1_scale", vnf["ID"])
    assert "ADDED" in json.dumps((await completed("SCALE"))["Resource Changes"])
    [vnfc] = (instantiated := shown["Instantiated Vnf Info"])["vnfcResourceInfo"]
    assert "vnfcInfo" not in instantiated
    await openstack("vnflcm", "heal", "--cause", "test", "--vnfc-instance", vnfc["id"], "--", vnf["ID"])
    healed = await completed("HEAL")
    assert vnfc["id"] in json.dumps(healed["Resource Changes"])
    assert json.loads(healed["Operation Parameters"])["cause"] == "test"

    await openstack("vnflcm", "terminate", "--termination-type", "FORCEFUL", vnf["ID"])
    await openstack.until("Instantiation State", "NOT_INSTANTIATED", "vnflcm", "show", vnf["ID"])
    await openstack("vnflcm", "delete", vnf["ID"])
    assert await openstack("vnflcm", "list") == []
    assert await cloud.leftovers() == []

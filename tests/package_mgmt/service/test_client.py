"""Every ``openstack vnf package`` command of the unmodified python-tackerclient, found in the simulated Keystone's catalog."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from forestay_package_mgmt.settings import Settings
from forestay_simvim import OpenStackSimulator, SimConfig

from tests.package_mgmt.service.conftest import PACKAGES, Json, Serve
from tests.package_mgmt.v2.conftest import LOOPBACK
from tests.package_mgmt.v2.origin import BASIC, origin

pytestmark = [pytest.mark.client, pytest.mark.timeout(240)]
OPENSTACK = Path(sys.executable).parent / "openstack"


async def test_the_package_commands(serve: Serve, asg: bytes, two_vdus: bytes, tmp_path: Path) -> None:
    csar = tmp_path / "asg.zip"
    csar.write_bytes(asg)
    async with (
        serve(Settings(package_page_size=1, package_fetch_allow=LOOPBACK)) as server,
        OpenStackSimulator(SimConfig(tacker_endpoint=server.url)).serve() as cloud,
    ):
        environment = os.environ | cloud.openrc() | {"PYTHONWARNINGS": "ignore"}

        async def package(*words: str) -> str:
            child = await asyncio.create_subprocess_exec(
                str(OPENSTACK), "vnf", "package", *words, env=environment, cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            output, errors = await child.communicate()
            assert child.returncode == 0, errors.decode()
            return output.decode()

        async def parsed(*words: str) -> Any:
            return json.loads(await package(*words, "-f", "json"))

        created: Json = await parsed("create", "--user-data", "owner=me")
        id_ = created["ID"]
        assert (created["Onboarding State"], created["User Defined Data"]) == ("CREATED", {"owner": "me"})
        another, _ = await asyncio.gather(parsed("create"), package("upload", id_, "--path", str(csar)))
        await server.settled(id_)

        shown, listed, full = await asyncio.gather(
            parsed("show", id_),
            parsed("list"),
            parsed("list", "--all_fields", "--filter", "(eq,onboardingState,ONBOARDED)"),
        )
        assert (shown["Onboarding State"], shown["VNF Product Name"]) == ("ONBOARDED", full[0]["Vnf Product Name"])
        assert {entry["Id"] for entry in listed} == {id_, another["ID"]}, "both pages"
        assert [entry["Id"] for entry in full] == [id_]
        assert full[0]["Checksum"] == shown["Checksum"]

        await asyncio.gather(
            package("download", id_, "--file", "back.zip"),
            package("download", id_, "--vnfd", "--type", "both", "--file", "vnfd.zip"),
            package("artifact", "download", id_, "BaseHOT/simple/asg.yaml", "--file", "asg.yaml"),
        )
        assert (tmp_path / "back.zip").read_bytes() == asg
        assert "Definitions/top.vnfd.yaml" in zipfile.ZipFile(tmp_path / "vnfd.zip").namelist()
        assert (tmp_path / "asg.yaml").read_bytes() == (PACKAGES / "sample-asg/BaseHOT/simple/asg.yaml").read_bytes()

        updated = await parsed("update", id_, "--operational-state", "DISABLED", "--user-data", "owner=you")
        assert updated == {"Operational State": "DISABLED", "User Defined Data": {"owner": "you"}}
        async with origin(two_vdus) as source:
            source.authorization = BASIC
            user = ("--user-name", "user", "--password", "pass word")
            await package("upload", another["ID"], "--url", f"{source.url}/two.zip", *user)
            assert (await server.settled(another["ID"]))["onboardingState"] == "ONBOARDED"
        await package("update", another["ID"], "--operational-state", "DISABLED")
        await package("delete", id_, another["ID"])
        assert await parsed("list") == []

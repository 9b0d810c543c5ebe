"""``forestay demo``: the main job on a simulated OpenStack, through the REST API, as a client would do it.

What it made it also deletes, so that it can run again on the same data; the log keeps everything.
"""

from __future__ import annotations

import runpy
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from forestay_events.commit import Commit
from forestay_events.errors import Permanent
from forestay_events.store import EventStore
from forestay_events.telemetry import configure_logging
from forestay_simvim import OpenStackSimulator
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from yarl import URL

from forestay_standalone.all_in_one import all_in_one
from forestay_standalone.log import event_names, history
from forestay_standalone.rest import RestApi
from forestay_standalone.substrate import Options, substrate

Json = dict[str, Any]

PACKAGES = Path(__file__).resolve().parents[4] / "tests" / "packages"
SAMPLE, SAMPLE_VNFD_ID = "sample-asg", "4f1a6b2e-0001-4c0e-9c52-5a9e00000001"
console = Console(highlight=False)


async def demo(data_dir: Path | None, port: int) -> None:
    """Onboard a VNF package, instantiate it, read it back, terminate it, and print what the log tells.

    :param data_dir: kept when given, else a temporary directory.
    :param port: of the API; 0 takes a free one.
    :raises ForestayError: a server cannot be started, or the job failed.
    """
    configure_logging("forestay-demo", "error")
    if not PACKAGES.is_dir():
        raise Permanent(
            "The demo needs Forestay's source tree, which holds its sample VNF packages: run ./dev demo there."
        )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="forestay-demo-", ignore_cleanup_errors=True) as temporary:
        options = Options(data_dir=data_dir or Path(temporary), port=port, log_level="error")
        console.print("Starting NATS, PostgreSQL, all services and a simulated OpenStack ...")
        async with _everything(options) as (cloud, store, url), aiohttp.ClientSession(
            url, headers={"Version": "2.0.0"}
        ) as session:  # fmt: skip
            console.print(f"  ready at {url} after {time.monotonic() - began:.1f} s\n")
            vnf_id, op_id = await _main_job(RestApi(session), cloud, Path(temporary))
            await _print_timeline(store, vnf_id, op_id)
    console.print(f"\nDone in {time.monotonic() - began:.1f} s. `forestay up` runs it for real.")
    if data_dir is not None:
        console.print(f"`forestay log show {vnf_id} --data-dir {data_dir}` shows all of it.", soft_wrap=True)


@asynccontextmanager
async def _everything(options: Options) -> AsyncGenerator[tuple[OpenStackSimulator, EventStore, str]]:
    async with (
        substrate(options) as config,
        OpenStackSimulator().serve("127.0.0.1", 0) as cloud,
        all_in_one(config) as (platform, url),
    ):
        yield cloud, platform.store, url


async def _main_job(api: RestApi, cloud: OpenStackSimulator, directory: Path) -> tuple[str, str]:
    """Ids of the VNF instance and of its instantiation."""
    vim = await _step("Register the VIM", api.send("POST", "/v1.0/vims", {"vim": _vim(cloud)}))
    vim_id = vim["vim"]["id"]
    csar, size = _sample_package(directory)
    package = await _step("Create a VNF package", api.send("POST", "/vnfpkgm/v1/vnf_packages", {}))
    package_uri = f"/vnfpkgm/v1/vnf_packages/{package['id']}"
    await _step(f"Upload {csar.name} ({size} bytes)", api.upload(f"{package_uri}/package_content", csar))
    package = await _step("Onboard it", api.until(package_uri, "onboardingState", {"ONBOARDED"}, {"CREATED"}))
    body = {"vnfdId": package["vnfdId"], "vnfInstanceName": "demo"}
    vnf = await _step("Create a VNF instance", api.send("POST", "/vnflcm/v2/vnf_instances", body))
    vnf_uri = f"/vnflcm/v2/vnf_instances/{vnf['id']}"
    op_id = await _operate(api, vnf_uri, "instantiate", _request(cloud, vim_id))
    _print_instance(await api.send("GET", vnf_uri))
    await _operate(api, vnf_uri, "terminate", {"terminationType": "FORCEFUL"})
    await _step("Delete the VNF instance", api.send("DELETE", vnf_uri))
    await api.send("PATCH", package_uri, {"operationalState": "DISABLED"})
    await _step("Delete the VNF package", api.until_deleted(package_uri))
    await _step("Delete the VIM", api.until_deleted(f"/v1.0/vims/{vim_id}"))
    return vnf["id"], op_id


async def _operate(api: RestApi, uri: str, task: str, body: Json) -> str:
    started = await _step(task.capitalize(), api.send("POST", f"{uri}/{task}", body))
    op_uri = URL(started["location"]).path
    waited = api.until(op_uri, "operationState", {"COMPLETED"}, {"FAILED_TEMP", "FAILED", "ROLLED_BACK"})
    await _step("  until it is COMPLETED", waited)
    return op_uri.rpartition("/")[2]


async def _step(title: str, doing: Awaitable[Json]) -> Json:
    """Wait for one step: on a terminal with a clock that runs, then one line."""
    began = time.monotonic()
    columns = (TextColumn(" "), SpinnerColumn(), TextColumn("{task.description:<44}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(title)
        result = await doing
    console.print(f"  [green]✓[/] {title:<44} [dim]{(time.monotonic() - began) * 1000:7.0f} ms[/]")
    return result


def _sample_package(directory: Path) -> tuple[Path, int]:
    """A sample package and its size, under a VNFD id of its own: a demo that was interrupted has left one behind."""
    tree = shutil.copytree(PACKAGES / SAMPLE, directory / SAMPLE)
    own = str(uuid.uuid4())
    for definition in (tree / "Definitions").iterdir():
        definition.write_text(definition.read_text().replace(SAMPLE_VNFD_ID, own))
    build_csar: Any = runpy.run_path(str(PACKAGES / "build.py"))["build_csar"]
    csar: Path = build_csar(tree, directory / f"{SAMPLE}.zip")
    return csar, csar.stat().st_size


def _vim(cloud: OpenStackSimulator) -> Json:
    account = cloud.cloud.config.accounts[0]
    credentials = {"username": account.name, "password": account.password, "user_domain_name": "Default"}
    return {
        "name": f"simulated-{uuid.uuid4()}",
        "type": "openstack",
        "auth_url": cloud.auth_url,
        "auth_cred": credentials | {"cert_verify": "True"},
        "vim_project": {"name": account.project, "project_domain_name": "Default"},
    }


def _request(cloud: OpenStackSimulator, vim_id: str) -> Json:
    """Flavour ``simple`` on the VIM, connected to the cloud's network ``private``."""
    [network] = cloud.cloud.neutron.networks.find(name="private")
    addresses = {"ipAddresses": [{"type": "IPV4", "numDynamicAddresses": 1}]}
    config = {"cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": addresses}]}
    cps = [{"cpdId": "VDU1_CP1", "cpConfig": {"VDU1_CP1": config}}]
    return {
        "flavourId": "simple",
        "extVirtualLinks": [{"id": "net0", "resourceId": network["id"], "extCps": cps}],
        "vimConnectionInfo": {"vim": {"vimId": vim_id, "vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_3"}},
    }


def _print_instance(vnf: Json) -> None:
    info: Json = vnf["instantiatedVnfInfo"]
    table = Table("VNFC", "VDU", "server", "zone", box=box.SIMPLE_HEAD)
    for vnfc in info.get("vnfcResourceInfo", []):
        table.add_row(vnfc["id"][:8], vnfc["vduId"], vnfc["computeResource"]["resourceId"], vnfc.get("zoneId", ""))
    console.print(f"\n  {vnf['vnfProductName']} {vnf['vnfSoftwareVersion']} is {vnf['instantiationState']}:")
    console.print(table)


async def _print_timeline(store: EventStore, vnf_id: str, op_id: str) -> None:
    console.print(f"\nOperation {op_id}, from the log:\n")
    commits = [stored.commit for stored in await history(store, vnf_id)]
    console.print(
        timeline([commit for commit in commits if any(op_id in bytes(raw).decode() for raw in commit.events)])
    )


def timeline(commits: Sequence[Commit]) -> Table:
    """When, what, by whom and why, readable in 80 columns: one block per commit."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for commit in commits:
        table.add_row(
            Text(f"{_millis(commit.at, commits[0].at)} ms", style="dim"),
            f"v{commit.version}",
            Text("\n".join(event_names(commit)), style="cyan"),
        )
        table.add_row("", "", Text(f"{commit.reason} ({commit.actor})", style="dim"))
    return table


def _millis(at: datetime, began: datetime) -> int:
    return round((at - began).total_seconds() * 1000)

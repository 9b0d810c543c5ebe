"""``forestay demo``: the main job on a simulated OpenStack, through the REST API, as a client would do it."""

from __future__ import annotations

import runpy
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from forestay_events.errors import Permanent
from forestay_events.store import EventStore
from forestay_events.telemetry import configure_logging
from forestay_simvim import OpenStackSimulator
from rich.console import Console
from rich.table import Table
from yarl import URL

from forestay_standalone.all_in_one import all_in_one
from forestay_standalone.log import event_names, history
from forestay_standalone.rest import RestApi
from forestay_standalone.substrate import Options, substrate

Json = dict[str, Any]

console = Console(highlight=False)


async def demo(data_dir: Path | None, port: int) -> None:
    """Onboard a VNF package, instantiate it, read it back, terminate it, and print what the log tells.

    :param data_dir: kept when given, else a temporary directory.
    :param port: of the API; 0 takes a free one.
    :raises Permanent: a server cannot be started, or the job failed.
    """
    configure_logging("forestay-demo", "error")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="forestay-demo-", ignore_cleanup_errors=True) as temporary:
        options = Options(data_dir=data_dir or Path(temporary), port=port, log_level="error")
        console.print("Starting NATS, PostgreSQL, all Forestay services and a simulated OpenStack ...")
        async with (
            substrate(options) as config,
            OpenStackSimulator().serve("127.0.0.1", 0) as cloud,
            all_in_one(config) as (platform, url),
            aiohttp.ClientSession(url, headers={"Version": "2.0.0"}) as session,
        ):
            console.print(f"  ready at {url} after {time.monotonic() - began:.1f} s\n")
            vnf_id, op_ids = await _main_job(RestApi(session), cloud, Path(temporary))
            await _print_timeline(platform.store, vnf_id, op_ids[0])
    console.print(f"\nDone in {time.monotonic() - began:.1f} s. `forestay up` runs it for real.")


async def _main_job(api: RestApi, cloud: OpenStackSimulator, directory: Path) -> tuple[str, list[str]]:
    await _step("Register the VIM", api.send("POST", "/v1.0/vims", {"vim": _vim(cloud)}))
    csar = _sample_package(directory)
    package = await _step("Create a VNF package", api.send("POST", "/vnfpkgm/v1/vnf_packages", {}))
    uri = f"/vnfpkgm/v1/vnf_packages/{package['id']}"
    await _step(f"Upload {csar.name} ({csar.stat().st_size} bytes)", api.upload(f"{uri}/package_content", csar))
    package = await _step("Onboard it", api.until(uri, "onboardingState", {"ONBOARDED"}, {"CREATED"}))
    body = {"vnfdId": package["vnfdId"], "vnfInstanceName": "demo"}
    vnf = await _step("Create a VNF instance", api.send("POST", "/vnflcm/v2/vnf_instances", body))
    uri = f"/vnflcm/v2/vnf_instances/{vnf['id']}"
    ops = [await _operate(api, uri, "instantiate", _request(cloud))]
    _print_instance(await api.send("GET", uri))
    ops.append(await _operate(api, uri, "terminate", {"terminationType": "FORCEFUL"}))
    await _step("Delete the VNF instance", api.send("DELETE", uri))
    return vnf["id"], ops


async def _operate(api: RestApi, uri: str, task: str, body: Json) -> str:
    started = await _step(task.capitalize(), api.send("POST", f"{uri}/{task}", body))
    op_uri = URL(started["location"]).path
    waited = api.until(op_uri, "operationState", {"COMPLETED"}, {"FAILED_TEMP", "FAILED", "ROLLED_BACK"})
    await _step(f"  wait for {task}", waited)
    return op_uri.rpartition("/")[2]


async def _step(title: str, doing: Any) -> Json:
    began = time.monotonic()
    result: Json = await doing
    console.print(f"  [green]✓[/] {title:<44} [dim]{(time.monotonic() - began) * 1000:7.0f} ms[/]")
    return result


def _vim(cloud: OpenStackSimulator) -> Json:
    account = cloud.cloud.config.accounts[0]
    return {
        "name": "simulated",
        "type": "openstack",
        "auth_url": cloud.auth_url,
        "auth_cred": {"username": account.name, "password": account.password, "user_domain_name": "Default", "cert_verify": "True"},
        "vim_project": {"name": account.project, "project_domain_name": "Default"},
        "is_default": True,
    }


def _request(cloud: OpenStackSimulator) -> Json:
    """Flavour ``simple``, connected to the cloud's network ``private``."""
    [network] = cloud.cloud.neutron.networks.find(name="private")
    addresses = {"ipAddresses": [{"type": "IPV4", "numDynamicAddresses": 1}]}
    config = {"cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": addresses}]}
    cps = [{"cpdId": "VDU1_CP1", "cpConfig": {"VDU1_CP1": config}}]
    return {"flavourId": "simple", "extVirtualLinks": [{"id": "net0", "resourceId": network["id"], "extCps": cps}]}


def _sample_package(directory: Path) -> Path:
    packages = Path(__file__).resolve().parents[4] / "tests" / "packages"
    if not packages.is_dir():
        raise Permanent(
            "The demo needs Forestay's source tree, which holds its sample VNF packages: run ./dev demo there."
        )
    build_csar: Any = runpy.run_path(str(packages / "build.py"))["build_csar"]
    return build_csar(packages / "sample-asg", directory / "sample-asg.zip")


def _print_instance(vnf: Json) -> None:
    info: Json = vnf["instantiatedVnfInfo"]
    table = Table(
        "VNFC", "VDU", "server", "zone", title=f"\n{vnf['vnfProductName']} {vnf['vnfSoftwareVersion']}, read back"
    )
    for vnfc in info.get("vnfcResourceInfo", []):
        table.add_row(vnfc["id"][:8], vnfc["vduId"], vnfc["computeResource"]["resourceId"], vnfc.get("zoneId", ""))
    console.print(table)


async def _print_timeline(store: EventStore, vnf_id: str, op_id: str) -> None:
    console.print("\nThe instantiation, from the log:")
    commits = [stored.commit for stored in await history(store, vnf_id)]
    began = next((commit.at for commit in commits if f'"{op_id}"' in _text(commit.events)), commits[0].at)
    for commit in commits:
        if op_id in _text(commit.events):
            millis = (commit.at - began).total_seconds() * 1000
            what = ", ".join(event_names(commit))
            console.print(
                f"  [dim]{millis:7.0f} ms[/] v{commit.version} [cyan]{what}[/] [dim]({commit.actor})[/] {commit.reason}"
            )


def _text(events: Any) -> str:
    return " ".join(bytes(raw).decode() for raw in events)

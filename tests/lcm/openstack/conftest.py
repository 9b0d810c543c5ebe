"""The flavours of the sample packages, and orders for them, granted by the embedded NFVO."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from forestay_csar import read_package
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.job import Order
from forestay_lcm.adapters.openstack.orders import without_bit_rates
from forestay_lcm.domain import local_nfvo
from forestay_lcm.domain.grants import Asking, instantiate_grant_request
from forestay_simvim import OpenStackSimulator, SimConfig
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiateVnfRequest, VimConnectionInfo

TESTS = Path(__file__).parents[2]
sys.path.append(str(TESTS.parent))  # tests.packages.build

type_Orders = Callable[..., Order]


def numbers(prefix: str) -> Callable[[], str]:
    """Ids in sequence."""
    numbers = count(1)
    return lambda: f"{prefix}{next(numbers)}"


def asking(prefix: str = "r", **members: Any) -> Asking:
    """A question of operation ``op1``; ids in sequence."""
    return Asking(vnf_id="vnf1", op_id="op1", vnfd_id="vnfd1", new_id=numbers(prefix), **members)


def order_of(flavour: Flavour, **request: Any) -> Order:
    """An order for a flavour; ``request`` are members of InstantiateVnfRequest as on the wire."""
    wanted = msgspec.convert({"flavourId": "simple"} | request, InstantiateVnfRequest)
    asked = instantiate_grant_request(asking(), flavour=flavour, request=wanted)
    grant = local_nfvo.answer(asked, new_id=numbers("g"), flavour=flavour)
    return Order(operation="INSTANTIATE", flavour=flavour, request=wanted, grant_request=asked, grant=grant)


def _flavour(name: str, tmp: Path) -> Flavour:
    from tests.packages.build import build_csar

    return without_bit_rates(read_package(build_csar(TESTS / "packages" / name, tmp / f"{name}.zip")).vnfd.flavour())


@pytest.fixture(scope="session")
def asg(tmp_path_factory: pytest.TempPathFactory) -> Flavour:
    """One VDU in an AutoScalingGroup."""
    return _flavour("sample-asg", tmp_path_factory.mktemp("asg"))


@pytest.fixture(scope="session")
def two_vdus(tmp_path_factory: pytest.TempPathFactory) -> Flavour:
    """Two VDUs with an internal network, external connection points and a volume."""
    return _flavour("sample-two-vdus", tmp_path_factory.mktemp("two"))


def ext_cp(cpd: str, *, fixed: str | None = None, subnet: str | None = None, port: str | None = None) -> dict[str, Any]:
    """An element of ``extCps`` with one config, ``cfg-<cpd>``."""
    address: dict[str, Any] = {"type": "IPV4", **({"subnetId": subnet} if subnet else {})}
    address |= {"fixedAddresses": [fixed]} if fixed else {"numDynamicAddresses": 1}
    data = {"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": {"ipAddresses": [address]}}
    config = {"linkPortId": port} if port else {"cpProtocolData": [data]}
    return {"cpdId": cpd, "cpConfig": {f"cfg-{cpd}": config}}


def ext_link(*cps: dict[str, Any], network: str = "net-1", ports: dict[str, str] | None = None) -> dict[str, Any]:
    """An element of ``extVirtualLinks``; ``ports`` are resource ids by link port id."""
    given = [{"id": name, "resourceHandle": {"resourceId": at}} for name, at in (ports or {}).items()]
    return {"id": f"vl-{network}", "resourceId": network, "extCps": list(cps), "extLinkPorts": given}


def connection(sim: OpenStackSimulator, **access: str) -> VimConnectionInfo:
    rc = sim.openrc()
    return VimConnectionInfo(
        vim_type="ETSINFV.OPENSTACK_KEYSTONE.V_3",
        interface_info={"endpoint": rc["OS_AUTH_URL"]},
        access_info={
            "username": rc["OS_USERNAME"],
            "password": rc["OS_PASSWORD"],
            "project": rc["OS_PROJECT_NAME"],
            "projectDomain": rc["OS_PROJECT_DOMAIN_NAME"],
            "userDomain": rc["OS_USER_DOMAIN_NAME"],
            "region": rc["OS_REGION_NAME"],
        }
        | access,
    )


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[OpenStackSimulator]:
    async with OpenStackSimulator(SimConfig()).serve() as sim:
        yield sim


@pytest_asyncio.fixture
async def clouds() -> AsyncIterator[Clouds]:
    async with Clouds(timeout=5) as clouds:
        yield clouds


@pytest.fixture
def cloud(sim: OpenStackSimulator, clouds: Clouds) -> Cloud:
    return clouds.cloud(connection(sim))

"""An NFVO, what LCM asks it, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from forestay_lcm.adapters.nfvo.client import Nfvo
from forestay_lcm.adapters.nfvo.settings import NfvoSettings
from forestay_lcm.domain.grants import Asking, instantiate_grant_request
from forestay_sol.vnfd import Flavour, InstantiationLevel, SoftwareImage, Vdu, VduCp, Vnfd, VnfVirtualLink
from forestay_sol.vnflcm import GrantRequest, InstantiateVnfRequest

from tests.nfvo.simulator import NfvoSimulator

IMAGE = SoftwareImage(id="VDU1", name="cirros", version="1")
VNFD = Vnfd(
    vnfd_id="vnfd-1",
    provider="Forestay",
    product_name="Sample",
    software_version="1.0",
    vnfd_version="1.0",
    flavours={
        "simple": Flavour(
            id="simple",
            vdus={"VDU1": Vdu(id="VDU1", name="VDU1", software_image=IMAGE, cp_ids=("CP1",))},
            cps={"CP1": VduCp(id="CP1", vdu_id="VDU1")},
            virtual_links={"VL1": VnfVirtualLink(id="VL1")},
            instantiation_levels={"two": InstantiationLevel(id="two", vdu_counts={"VDU1": 2})},
            default_level_id="two",
        )
    },
)


@pytest_asyncio.fixture
async def nfvo() -> AsyncIterator[NfvoSimulator]:
    async with NfvoSimulator().serve() as simulator:
        yield simulator


@pytest.fixture
def asked() -> GrantRequest:
    """The request for two VNFCs: r1 and r2 with a port each, and link r3."""
    numbers = iter(range(1, 100))
    asking = Asking(vnf_id="vnf-1", op_id="op-1", vnfd_id="vnfd-1", new_id=lambda: f"r{next(numbers)}")
    request = InstantiateVnfRequest(flavour_id="simple", additional_params={"key": "value"})
    return instantiate_grant_request(asking, flavour=VNFD.flavour(), request=request)


def client(nfvo: NfvoSimulator, **settings: Any) -> Nfvo:
    """A client for the simulator; ``settings`` are members of NfvoSettings without ``nfvo_``."""
    members: dict[str, Any] = {"endpoint": nfvo.root, "timeout": 0.5, "poll_interval": 0.01} | settings
    return Nfvo(NfvoSettings(**{f"nfvo_{name}": value for name, value in members.items()}), "http://vnfm.example:9890")

"""Filters in the words of version 1: what they mean of a document of version 2, and that the database finds the same."""

from __future__ import annotations

import pytest
from forestay_events.config import BaseConfig
from forestay_events.errors import Rejected
from forestay_lcm.api.v1.filters import parse_for_instances, parse_for_op_occs
from forestay_sol.filters import matches

from tests.lcm.api_v1.speaking import INSTANCES, OP_OCCS, speaking
from tests.lcm.engine.running import VIM_ID
from tests.lcm.engine.scripted_vim import ScriptedVim

DOCUMENT = {
    "vnfInstanceName": "edge",
    "vimConnectionInfo": {"site": {"vimId": VIM_ID, "vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_3"}},
    "instantiatedVnfInfo": {"flavourId": "simple"},
}
FOUND = {
    "(eq,vnfInstanceName,edge)": True,
    f"(eq,vimConnectionInfo/vimId,{VIM_ID})": True,
    "(eq,vimConnectionInfo/vimId,other)": False,
    "(eq,vimConnectionInfo/vimType,openstack)": True,
    "(eq,vimConnectionInfo/vimType,kubernetes)": False,
    "(eq,vimConnectionInfo/id,site)": True,
    "(neq,vimConnectionInfo/id,site)": False,
    "(eq,instantiatedVnfInfo/flavourId,simple);(in,vimConnectionInfo/id,site,other)": True,
}


@pytest.mark.parametrize("text", FOUND)
def test_meaning(text: str) -> None:
    assert matches(parse_for_instances(text), DOCUMENT) == FOUND[text]


@pytest.mark.parametrize("text", ["(eq,nothing,1)", "(eq,vnfPkgId,1)", "(eq,_links/self,1)", "(eq,a\0,1)", "(eq,vimId"])
def test_refusals(text: str) -> None:
    for parse in (parse_for_instances, parse_for_op_occs):
        with pytest.raises(Rejected) as refused:
            parse(text)
        assert refused.value.status == 400


async def test_in_the_database(config: BaseConfig) -> None:
    async with speaking(config, ScriptedVim()) as (v1, _, _lcm):
        made = await v1.post(INSTANCES, {"vnfdId": "vnfd-1", "vnfInstanceName": "edge"})
        connections = [{"id": "site", "vimId": VIM_ID, "vimType": "openstack"}]
        body = {"flavourId": "simple", "vimConnectionInfo": connections}
        await v1.done(await v1.post(f"{INSTANCES}/{made.body['id']}/instantiate", body))
        for text, found in FOUND.items():
            assert bool((await v1.get(f"{INSTANCES}?filter={text}")).body) == found, text
        assert len((await v1.get(f"{OP_OCCS}?filter=(eq,operation,INSTANTIATE)")).body) == 1
        (await v1.get(f"{OP_OCCS}?filter=(eq,nothing,1)")).problem(400)

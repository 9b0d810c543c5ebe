"""Which VIM an operation works on before there is a grant, and links that cannot be reached from there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from forestay_lcm.domain.commands import ChangeExtConn, Instantiate
from forestay_lcm.domain.events import OperationStarted

from tests.lcm.domain.story import Story, refusal, told
from tests.lcm.samples import CONNECTIONS, change_ext_conn, confirmed, create, instantiate

SOUTH = msgspec.structs.replace(CONNECTIONS["vim1"], vim_id="south")
BOTH = CONNECTIONS | {"south": SOUTH}
INSTANTIATED = (create(), instantiate(), *[confirmed] * 4)


def link(key: str | None, **members: Any) -> dict[str, Any]:
    cps = [{"cpdId": "CP1", "cpConfig": {"a": {}}}]
    return {"id": f"to-{key}", "resourceId": "n", "extCps": cps, **({"vimConnectionId": key} if key else {}), **members}


def instantiation(*links: dict[str, Any], nfvo: bool = False, **members: Any) -> Instantiate:
    return replace(instantiate(extVirtualLinks=list(links), **members), vim_connections=BOTH, nfvo=nfvo)


def begun(story: Story, command: Instantiate | ChangeExtConn) -> OperationStarted:
    event = story.do(command)[0]
    assert isinstance(event, OperationStarted)
    return event


def test_it_works_where_its_links_are_else_on_the_first() -> None:
    assert begun(told(create()), instantiation(link("south"))).lane == "south"
    assert begun(told(create()), instantiation(link(None))).lane == CONNECTIONS["vim1"].vim_id


def test_the_driver_is_that_of_the_vim_where_its_links_are() -> None:
    other = msgspec.structs.replace(SOUTH, vim_type="ETSINFV.KUBERNETES.V_1")
    command = replace(instantiation(link("south")), vim_connections=CONNECTIONS | {"south": other})
    error = refusal(told(create()), command)
    assert (error.status, error.pointer) == (422, "/vimConnectionInfo")
    assert begun(told(create()), replace(command, request=instantiate().request)).lane == CONNECTIONS["vim1"].vim_id


@pytest.mark.parametrize(
    ("links", "where", "words"),
    [
        ([link(None), link("west")], "/extVirtualLinks/1/vimConnectionId", "vimConnectionId 'west'"),
        ([link("vim1"), link("south")], "/extVirtualLinks/1/vimConnectionId", "south is another one than vim1"),
    ],
)
def test_a_link_that_cannot_be_reached_is_refused(links: list[dict[str, Any]], where: str, words: str) -> None:
    error = refusal(told(create()), instantiation(*links))
    assert (error.status, error.pointer) == (400, where)
    assert words in str(error)


def test_a_managed_link_too() -> None:
    managed = {"id": "m", "vnfVirtualLinkDescId": "net", "resourceId": "n", "vimConnectionId": "west"}
    error = refusal(told(create()), instantiation(extManagedVirtualLinks=[managed]))
    assert error.pointer == "/extManagedVirtualLinks/0/vimConnectionId"


def test_an_nfvo_may_bring_the_connection_that_is_named() -> None:
    assert begun(told(create()), instantiation(link("west"), nfvo=True)).lane == CONNECTIONS["vim1"].vim_id


def test_a_vnf_stays_where_its_resources_are() -> None:
    story = told(*INSTANTIATED)
    error = refusal(story, change_ext_conn(link("south"), connections={"south": SOUTH}))
    assert (error.status, error.pointer) == (400, "/extVirtualLinks/0/vimConnectionId")

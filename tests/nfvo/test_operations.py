"""The life of a VNF with an external NFVO that grants, hesitates, refuses, fails or says nonsense: asked once, and obeyed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_asyncio
from yarl import URL

from tests.flow.scenario import SAMPLES, create, instantiate_body, onboard, operate, start
from tests.nfvo.simulator import Mode, NfvoSimulator
from tests.standalone.site import TestSite, site

Json = dict[str, Any]
pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMEOUT = 5
PATIENCE = TIMEOUT + 15
SETTINGS = {"TIMEOUT": str(TIMEOUT), "POLL_INTERVAL": "0.1", "BEST_EFFORT": "true"}
FORCEFUL = {"terminationType": "FORCEFUL"}
OP_OCCS = "/vnflcm/v2/vnf_lcm_op_occs"


class Scene:
    """A Forestay whose NFVO is the simulator, with an onboarded package, in a project whose default VIM is the simulated one."""

    def __init__(self, forestay: TestSite, nfvo: NfvoSimulator, vnfd_id: str, vim_id: str, request: Json) -> None:
        self.forestay = forestay
        self.nfvo = nfvo
        self.vnfd_id = vnfd_id
        self.vim_id = vim_id
        self.request = request
        self.api = forestay.api

    async def created(self) -> str:
        """URI of a new VNF instance."""
        return await create(self.api, self.vnfd_id)

    async def instantiated(self, **members: Any) -> str:
        """URI of a VNF instance that runs."""
        vnf = await self.created()
        await self.done(vnf, "instantiate", self.request | members)
        return vnf

    async def done(self, vnf: str, task: str, body: Json, state: str = "COMPLETED") -> Json:
        operation = await operate(self.api, vnf, task, body)
        assert operation["operationState"] == state, operation
        return operation

    async def show(self, vnf: str) -> Json:
        return await self.api.send("GET", vnf)

    def asked(self, vnf: str) -> list[Json]:
        """The grant requests about a VNF instance."""
        entries = self.nfvo.seen("POST", "/grants")
        return [entry.body for entry in entries if entry.body["vnfInstanceId"] == vnf.rpartition("/")[2]]

    def changed(self, change: Callable[[Json], Json]) -> None:
        self.nfvo.change = change


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole_scene() -> AsyncIterator[Scene]:
    async with NfvoSimulator().serve() as nfvo:
        with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as directory:
            for name, value in ({"ENDPOINT": nfvo.root} | SETTINGS).items():
                patch.setenv(f"FORESTAY_NFVO_{name}", value)
            async with site() as forestay:
                vim = await forestay.api.send("POST", "/v1.0/vims", forestay.cloud.vim())
                package = await onboard(forestay.api, SAMPLES[0], Path(directory))
                request = await instantiate_body(forestay.cloud, SAMPLES[0])
                yield Scene(forestay, nfvo, package["vnfdId"], vim["vim"]["id"], request)


@pytest_asyncio.fixture(loop_scope="module")
async def scene(whole_scene: Scene) -> AsyncIterator[Scene]:
    """Before each test the NFVO grants at once; after it the cloud is empty."""
    nfvo = whole_scene.nfvo
    nfvo.mode, nfvo.looks, nfvo.change, nfvo.retry_after = "at once", 2, in_nova, None
    yield whole_scene
    assert await whole_scene.forestay.cloud.leftovers() == []


def in_nova(grant: Json) -> Json:
    """The grant, placed where the simulated cloud has hosts."""
    return grant | {"zones": [zone | {"zoneId": "nova"} for zone in grant["zones"]]}


def lived_in(vnf: Json) -> set[str | None]:
    return {vnfc["computeResource"].get("vimConnectionId") for vnfc in vnf["instantiatedVnfInfo"]["vnfcResourceInfo"]}


@pytest.mark.parametrize("mode", ["at once", "later"])
async def test_every_operation_is_granted_once(scene: Scene, mode: Mode) -> None:
    scene.nfvo.mode = mode
    vnf = await scene.created()
    tasks: list[tuple[str, Json, str, tuple[str, ...]]] = [
        ("instantiate", scene.request, "INSTANTIATE", ("addResources",)),
        ("scale", {"type": "SCALE_OUT", "aspectId": "VDU1_scale"}, "SCALE", ("addResources",)),
        ("heal", {}, "HEAL", ("addResources", "removeResources")),
        ("operate", {"changeStateTo": "STOPPED", "stopType": "FORCEFUL"}, "OPERATE", ("updateResources",)),
        ("operate", {"changeStateTo": "STARTED"}, "OPERATE", ("updateResources",)),
        ("scale", {"type": "SCALE_IN", "aspectId": "VDU1_scale"}, "SCALE", ("removeResources",)),
        ("terminate", FORCEFUL, "TERMINATE", ("removeResources",)),
    ]
    for task, body, operation, members in tasks:
        op_occ = await scene.done(vnf, task, body)
        asked = scene.asked(vnf)[-1]
        assert (asked["operation"], asked["vnfLcmOpOccId"]) == (operation, op_occ["id"])
        assert all(asked.get(member) for member in members)
        assert op_occ["grantId"] in scene.nfvo.granted
        links = {name: URL(link["href"]).path for name, link in asked["_links"].items()}
        assert links == {"vnfLcmOpOcc": f"{OP_OCCS}/{op_occ['id']}", "vnfInstance": vnf}
        assert (await scene.api.send("GET", links["vnfLcmOpOcc"]))["id"] == op_occ["id"]
    assert len(scene.asked(vnf)) == len(tasks)


async def test_affinity_rules_are_placement_constraints(scene: Scene) -> None:
    vnf = await scene.instantiated(instantiationLevelId="instantiation_level_2")
    [asked] = scene.asked(vnf)
    computes = [item["id"] for item in asked["addResources"] if item["type"] == "COMPUTE"]
    [constraint] = asked["placementConstraints"]
    assert (constraint["affinityOrAntiAffinity"], constraint["scope"]) == ("ANTI_AFFINITY", "NFVI_NODE")
    assert [item["resourceId"] for item in constraint["resource"]] == computes
    assert constraint["fallbackBestEffort"] is True
    await scene.done(vnf, "terminate", FORCEFUL)


async def test_secrets_reach_the_nfvo_but_neither_log_nor_api(scene: Scene) -> None:
    params = {"label": "red", "db": {"password": "s3cret-of-the-vnf"}}
    vnf = await scene.created()
    op_occ = await scene.done(vnf, "instantiate", scene.request | {"additionalParams": params})
    assert scene.asked(vnf)[0]["additionalParams"] == params
    assert op_occ["operationParams"]["additionalParams"]["label"] == "red"
    assert "s3cret-of-the-vnf" not in str(op_occ)
    rows = await scene.forestay.platform.pool.fetch("SELECT body FROM lcm.commit")
    assert rows
    assert not any(b"s3cret-of-the-vnf" in row["body"] for row in rows)
    await scene.done(vnf, "terminate", FORCEFUL)


async def test_what_the_nfvo_gives_reaches_the_stack_and_not_the_log(scene: Scene) -> None:
    given = {"additionalParams": {"nfv": {"VDU": {"VDU1": {"admin_password": "s3cret-of-the-nfvo"}}}}}
    scene.changed(lambda grant: in_nova(grant) | given)
    vnf = await scene.instantiated()
    stack = (await scene.show(vnf))["instantiatedVnfInfo"]["metadata"]["stack_id"]
    of_heat = ("orchestration", f"/stacks/{stack}/environment", "parameters")
    parameters: Any = (await scene.forestay.cloud.resources(of_heat))[0]
    assert parameters["nfv"]["VDU"]["VDU1"]["admin_password"] == "s3cret-of-the-nfvo"
    rows = await scene.forestay.platform.pool.fetch("SELECT body FROM lcm.commit")
    assert not any(b"s3cret-of-the-nfvo" in row["body"] for row in rows)
    scene.changed(in_nova)
    await scene.done(vnf, "terminate", FORCEFUL)


async def test_a_refused_operation_comes_to_nothing_in_the_words_of_the_nfvo(scene: Scene) -> None:
    scene.nfvo.mode = "refuse"
    vnf = await scene.created()
    refused = await scene.done(vnf, "instantiate", scene.request, "ROLLED_BACK")
    error = refused["error"]
    assert (error["status"], error["title"], error["step"]) == (403, "Forbidden", "grant")
    assert error["detail"] == "No room for VNF instance in zone nova."
    assert (await scene.show(vnf))["instantiationState"] == "NOT_INSTANTIATED"
    assert "vimConnectionInfo" not in await scene.show(vnf)
    assert await scene.forestay.cloud.leftovers() == []
    scene.nfvo.mode = "at once"
    await scene.done(vnf, "instantiate", scene.request)
    scene.nfvo.mode = "refuse"
    await scene.done(vnf, "terminate", FORCEFUL, "ROLLED_BACK")
    assert (await scene.show(vnf))["instantiationState"] == "INSTANTIATED"
    scene.nfvo.mode = "at once"
    await scene.done(vnf, "terminate", FORCEFUL)


async def test_a_busy_nfvo_is_asked_again_when_it_says(scene: Scene) -> None:
    scene.nfvo.mode, scene.nfvo.retry_after = "busy", "1"
    vnf = await scene.created()
    operation = await start(scene.api, vnf, "instantiate", scene.request)
    async with asyncio.timeout(60):
        while len(scene.asked(vnf)) < 3:
            await asyncio.sleep(0.02)
    scene.nfvo.mode = "at once"
    await scene.api.until(operation, "operationState", {"COMPLETED"}, {"ROLLED_BACK"})
    assert len([grant for grant in scene.nfvo.granted.values() if vnf.endswith(grant["vnfInstanceId"])]) == 1
    times = [entry.at for entry in scene.nfvo.seen("POST", "/grants") if vnf.endswith(entry.body["vnfInstanceId"])]
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.95
    await scene.done(vnf, "terminate", FORCEFUL)


async def test_an_nfvo_that_fails_has_refused(scene: Scene) -> None:
    scene.nfvo.mode = "broken"
    vnf = await scene.created()
    error = (await scene.done(vnf, "instantiate", scene.request, "ROLLED_BACK"))["error"]
    assert (error["status"], error["detail"]) == (500, "The NFVO's database is away.")
    assert len(scene.asked(vnf)) == 1


async def test_a_lost_answer_is_never_asked_for_again(scene: Scene) -> None:
    modes: tuple[Mode, ...] = ("hang", "reset", "proxy")
    started: list[tuple[str, str]] = []
    for mode in modes:
        scene.nfvo.mode = mode
        vnf = await scene.created()
        started.append((vnf, await start(scene.api, vnf, "instantiate", scene.request)))
        async with asyncio.timeout(60):
            while not scene.asked(vnf):
                await asyncio.sleep(0.02)
    scene.nfvo.mode = "at once"
    for vnf, operation in started:
        ended = await scene.api.until(operation, "operationState", {"ROLLED_BACK"}, {"COMPLETED"}, patience=100)
        error = ended["error"]
        assert (error["title"], error["status"]) == ("Answer to the grant request lost", 504)
        assert "Look there for a grant to release, then repeat the operation." in error["detail"]
        began, end = (datetime.fromisoformat(ended[name]) for name in ("startTime", "stateEnteredTime"))
        assert (end - began).total_seconds() > PATIENCE
        assert len(scene.asked(vnf)) == 1
        assert (await scene.show(vnf))["instantiationState"] == "NOT_INSTANTIATED"


async def test_a_grant_that_contradicts_the_request_is_not_used(scene: Scene) -> None:
    scene.changed(lambda grant: grant | {"addResources": grant["addResources"][1:]})
    vnf = await scene.created()
    error = (await scene.done(vnf, "instantiate", scene.request, "ROLLED_BACK"))["error"]
    assert (error["title"], error["status"]) == ("Grant cannot be used", 502)
    assert "addResources does not answer" in error["detail"]


async def test_a_vnf_lives_where_the_grant_says(scene: Scene) -> None:
    connection = scene.forestay.cloud.connection
    access = {"vimType": connection.vim_type, "interfaceInfo": connection.interface_info}
    access["accessInfo"] = connection.access_info
    scene.changed(lambda grant: in_nova(grant) | {"vimConnectionInfo": {"chosen": access}})
    vnf = await scene.instantiated()
    shown = await scene.show(vnf)
    assert list(shown["vimConnectionInfo"]) == ["chosen", "default"]
    assert "password" not in shown["vimConnectionInfo"]["chosen"]["accessInfo"]
    assert lived_in(shown) == {"chosen"}
    scene.changed(in_nova)
    await scene.done(vnf, "scale", {"type": "SCALE_OUT", "aspectId": "VDU1_scale"})
    assert lived_in(await scene.show(vnf)) == {"chosen"}
    await scene.done(vnf, "terminate", FORCEFUL)
    assert "vimConnectionInfo" not in await scene.show(vnf)


@pytest.mark.parametrize("where", ["resource", "zone"])
async def test_a_grant_names_a_registered_vim_by_its_id(scene: Scene, where: str) -> None:
    named = {"vimId": scene.vim_id, "vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_3"}

    def change(grant: Json) -> Json:
        by = {"vimConnectionId": "by-id"}
        grant = in_nova(grant) | {"vimConnectionInfo": {"other": named, "by-id": named}}
        if where == "zone":
            return grant | {"zones": [zone | by for zone in grant["zones"]]}
        return grant | {"addResources": [info | by for info in grant["addResources"]]}

    scene.changed(change)
    vnf = await scene.instantiated()
    shown = await scene.show(vnf)
    chosen = shown["vimConnectionInfo"]["by-id"]
    assert chosen["interfaceInfo"]["endpoint"] == scene.forestay.cloud.auth_url
    assert (chosen["vimId"], "password" in chosen["accessInfo"]) == (scene.vim_id, False)
    assert lived_in(shown) == {"by-id"}
    scene.changed(in_nova)
    await scene.done(vnf, "terminate", FORCEFUL)


async def test_the_nfvo_alone_may_choose_the_vim(scene: Scene) -> None:
    vim = f"/v1.0/vims/{scene.vim_id}"
    await scene.api.send("PUT", vim, {"vim": {"is_default": False}})
    named = {"vimId": scene.vim_id, "vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_3"}
    scene.changed(lambda grant: in_nova(grant) | {"vimConnectionInfo": {"chosen": named}})
    vnf = await scene.instantiated()
    shown = await scene.show(vnf)
    assert (list(shown["vimConnectionInfo"]), lived_in(shown)) == (["chosen"], {"chosen"})
    scene.changed(in_nova)
    await scene.done(vnf, "terminate", FORCEFUL)
    error = (await scene.done(vnf, "instantiate", scene.request, "ROLLED_BACK"))["error"]
    assert (error["title"], "in which VIM" in error["detail"]) == ("Grant cannot be used", True)
    await scene.api.send("PUT", vim, {"vim": {"is_default": True}})


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"vimId": "nobody", "vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_3"}, "VIM nobody, which is not registered"),
        ({"vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_3"}, "gives no access and names no VIM"),
        ({"vimType": "ETSINFV.UNHEARD_OF", "interfaceInfo": {}, "accessInfo": {}}, "was not planned for"),
    ],
)
async def test_a_grant_that_leads_nowhere_is_not_used(scene: Scene, info: Json, words: str) -> None:
    scene.changed(lambda grant: in_nova(grant) | {"vimConnectionInfo": {"chosen": info}})
    vnf = await scene.created()
    error = (await scene.done(vnf, "instantiate", scene.request, "ROLLED_BACK"))["error"]
    assert error["title"] == "Grant cannot be used"
    assert words in error["detail"]
    assert "vimConnectionInfo" not in await scene.show(vnf)

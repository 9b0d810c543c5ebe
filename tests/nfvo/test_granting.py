"""A grant is asked for once and waited for, whatever the NFVO does; what it says reaches the operation's error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest
from forestay_events.errors import ForestayError, Permanent, Retryable, UnknownOutcome
from forestay_events.keystore import MemoryKeyStore
from forestay_events.sealing import MasterKeys, Vault
from forestay_lcm.adapters.nfvo.granting import await_grant, request_grant, sealed
from forestay_lcm.domain.grants import Terms, check
from forestay_lcm.executor import Again, Confirmed, Failed, Outcome
from forestay_lcm.secrets import Secrets
from forestay_sol.vnflcm import Grant, GrantRequest

from tests.nfvo.conftest import VNFD, client
from tests.nfvo.simulator import Json, Mode, NfvoSimulator


def accepting(asked: GrantRequest) -> Callable[[Grant], Awaitable[Grant]]:
    async def accept(grant: Grant) -> Grant:
        check(grant, Terms(request=asked, vnfd=VNFD, connections={"vim1"}))
        return grant

    return accept


async def nothing() -> None:
    """What a caller without a fence does before the request is sent."""


async def request(nfvo: NfvoSimulator, asked: GrantRequest, *, sent: bool = False) -> Outcome:
    async with client(nfvo) as nfvo_client:
        return await request_grant(nfvo_client, asked, accepting(asked), sent=sent, about_to_send=nothing)


async def look(nfvo: NfvoSimulator, asked: GrantRequest, requested: Json) -> Outcome:
    async with client(nfvo) as nfvo_client:
        return await await_grant(nfvo_client, requested, accepting(asked))


async def granted(nfvo: NfvoSimulator, asked: GrantRequest) -> tuple[Json, list[Again]]:
    """The result of both steps, each look by a client of its own, as of a process that knows only the log."""
    requested = await request(nfvo, asked)
    assert isinstance(requested, Confirmed)
    waits: list[Again] = []
    async with asyncio.timeout(60):
        while isinstance(outcome := await look(nfvo, asked, requested.result), Again):
            waits.append(outcome)
    assert isinstance(outcome, Confirmed)
    return outcome.result["grant"], waits


async def test_a_grant_at_once(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    grant, waits = await granted(nfvo, asked)
    assert msgspec.convert(grant, Grant).zones[0].zone_id == "az-1"
    assert (waits, len(nfvo.seen("POST", "/grants")), nfvo.seen("GET", "/grants")) == ([], 1, [])
    (sent,) = nfvo.seen("POST", "/grants")
    assert sent.headers["Version"] == "1.4.0"
    assert sent.body["_links"] == {
        "vnfLcmOpOcc": {"href": "http://vnfm.example:9890/vnflcm/v2/vnf_lcm_op_occs/op-1"},
        "vnfInstance": {"href": "http://vnfm.example:9890/vnflcm/v2/vnf_instances/vnf-1"},
    }
    assert msgspec.convert(sent.body | {"_links": {}}, GrantRequest) == asked


async def test_a_grant_that_takes_its_time(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    nfvo.mode, nfvo.looks = "later", 3
    grant, waits = await granted(nfvo, asked)
    assert [wait.delay for wait in waits] == [0.01] * 3
    assert grant["id"] in waits[0].note
    assert (len(nfvo.seen("POST", "/grants")), len(nfvo.seen("GET", "/grants"))) == (1, 4)
    assert nfvo.seen("GET", "/grants")[0].headers["Version"] == "1.4.0"


IN_FIVE_MINUTES = "a date"


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("3", 3, 3),
        (IN_FIVE_MINUTES, 200, 300),
        ("86400", 600, 600),
        ("soon", 0.01, 0.01),
    ],
)
async def test_retry_after_is_honoured(
    nfvo: NfvoSimulator, asked: GrantRequest, text: str, least: float, most: float
) -> None:
    in_five_minutes = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    nfvo.mode, nfvo.retry_after = "later", in_five_minutes if text == IN_FIVE_MINUTES else text
    requested = await request(nfvo, asked)
    assert isinstance(requested, Confirmed)
    outcome = await look(nfvo, asked, requested.result)
    assert isinstance(outcome, Again)
    for delay in (requested.result["delay"], outcome.delay):
        assert least <= delay <= most


async def test_the_location_chooses_the_path_and_never_the_host(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    async with NfvoSimulator().serve() as elsewhere:
        nfvo.mode = "later"
        nfvo.location = lambda url: url.replace(nfvo.url, elsewhere.url)
        await granted(nfvo, asked)
        assert elsewhere.journal == []


@pytest.mark.parametrize(
    ("mode", "error", "status", "words"),
    [
        ("refuse", Permanent, 403, "No room for VNF instance in zone nova."),
        ("broken", Permanent, 500, "The NFVO's database is away."),
        ("busy", Retryable, None, "Come back later."),
        ("proxy", UnknownOutcome, None, "502"),
        ("hang", UnknownOutcome, None, "no answer"),
        ("reset", UnknownOutcome, None, "no answer"),
    ],
)
async def test_what_the_nfvo_says_is_what_the_operation_is_told(
    nfvo: NfvoSimulator, asked: GrantRequest, mode: Mode, error: type[ForestayError], status: int | None, words: str
) -> None:
    nfvo.mode = mode
    with pytest.raises(error, match=words) as raised:
        await request(nfvo, asked)
    assert getattr(raised.value, "status", None) == status
    assert getattr(raised.value, "delay", None) == (7 if mode == "busy" else None)
    assert len(nfvo.seen("POST", "/grants")) == 1


@pytest.mark.parametrize("mode", ["hang", "reset"])
async def test_a_request_whose_answer_is_lost_is_not_repeated(
    nfvo: NfvoSimulator, asked: GrantRequest, mode: Mode
) -> None:
    nfvo.mode = mode
    with pytest.raises(UnknownOutcome):
        await request(nfvo, asked)
    nfvo.mode = "at once"
    outcome = await request(nfvo, asked, sent=True)
    assert isinstance(outcome, Failed)
    assert outcome.status == 504
    assert "op-1" in outcome.detail
    assert (len(nfvo.granted), len(nfvo.seen("POST", "/grants"))) == (1, 1)


async def test_nothing_is_noted_before_the_request_can_be_sent(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    noted: list[int] = []

    async def note() -> None:
        noted.append(len(nfvo.seen("POST", "/grants")))

    async with client(nfvo, auth="oauth2", token_endpoint=f"{nfvo.url}/token", client_id="x", client_secret="y") as out:
        with pytest.raises(Permanent, match="No such client"):
            await request_grant(out, asked, accepting(asked), sent=False, about_to_send=note)
    assert noted == []
    async with client(nfvo) as into:
        await request_grant(into, asked, accepting(asked), sent=False, about_to_send=note)
    assert noted == [0]


async def test_an_nfvo_that_is_down_was_not_asked(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    async with client(nfvo, endpoint="http://127.0.0.1:1") as nowhere:
        with pytest.raises(Retryable, match="cannot connect"):
            await request_grant(nowhere, asked, accepting(asked), sent=False, about_to_send=nothing)


@pytest.mark.parametrize(
    ("mode", "error", "words"),
    [("refuse", Permanent, "On second thoughts, no."), ("broken", Retryable, "database is away")],
)
async def test_a_look_may_end_in_a_refusal_and_outlives_a_fault(
    nfvo: NfvoSimulator, asked: GrantRequest, mode: Mode, error: type[ForestayError], words: str
) -> None:
    nfvo.mode, nfvo.looks = "later", 0
    requested = await request(nfvo, asked)
    assert isinstance(requested, Confirmed)
    nfvo.mode = mode
    with pytest.raises(error, match=words):
        await look(nfvo, asked, requested.result)


async def test_a_grant_that_is_gone_is_an_error(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    with pytest.raises(Permanent, match="No grant nobody") as gone:
        await look(nfvo, asked, {"location": "/nfvo/grant/v1/grants/nobody"})
    assert gone.value.status == 404


async def test_an_answer_without_grant_and_location_is_wrong(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    nfvo.mode, nfvo.location = "later", lambda _: ""
    with pytest.raises(Permanent, match="answered 202 without a grant") as wrong:
        await request(nfvo, asked)
    assert wrong.value.status == 502


def _also(member: str, *entries: Json) -> Callable[[Json], Json]:
    return lambda grant: grant | {member: [*grant.get(member, []), *entries]}


_CP = {"cpdId": "CP9", "cpConfig": {"c": {"linkPortId": "lp"}}}
WRONG: dict[str, tuple[Callable[[Json], Json], str]] = {
    "no grant": (lambda grant: {"id": "x"}, "not with a grant: .*vnfInstanceId"),
    "wrong type": (lambda grant: grant | {"zones": "nova"}, r"not with a grant: .*zones"),
    "other instance": (lambda grant: grant | {"vnfInstanceId": "other"}, "vnfInstanceId is other, not vnf-1"),
    "other operation": (lambda grant: grant | {"vnfLcmOpOccId": "other"}, "vnfLcmOpOccId is other, not op-1"),
    "unanswered": (lambda grant: grant | {"addResources": grant["addResources"][1:]}, "does not answer r1"),
    "unknown": (_also("addResources", {"resourceDefinitionId": "r9"}), "answers r9, which was not asked for"),
    "uninvited": (_also("removeResources", {"resourceDefinitionId": "r1"}), "removeResources answers r1, which was not"),
    "twice": (_also("addResources", {"resourceDefinitionId": "r1"}), "answers r1 more than once"),
    "no zone": (lambda grant: grant | {"zones": []}, "resource r1 is in zone z1, which is not in zones"),
    "zone twice": (_also("zones", {"id": "z1", "zoneId": "az-2"}), "zones has an id more than once"),
    "zone group": (_also("zoneGroups", {"zoneId": ["z1", "z2"]}), "zoneGroups names zone z2"),
    "vim of a zone": (
        lambda grant: grant | {"zones": [{"id": "z1", "zoneId": "a", "vimConnectionId": "v9"}]},
        "vimConnectionId v9 is neither",
    ),
    "two vims": (
        lambda grant: (
            grant
            | {
                "zones": [{"id": "z1", "zoneId": "a", "vimConnectionId": "vim1"}],
                "vimConnectionInfo": {"vim2": {"vimType": "x"}},
                "addResources": [info | {"vimConnectionId": "vim2"} for info in grant["addResources"]],
            }
        ),
        "resource r1 is on VIM vim2, its zone z1 on vim1",
    ),
    "flavour": (
        lambda grant: (
            grant
            | {"vimAssets": {"computeResourceFlavours": [{"vnfdVirtualComputeDescId": "VDU9", "vimFlavourId": "f"}]}}
        ),
        "vnfdVirtualComputeDescId VDU9, which the VNFD does not have",
    ),
    "two images": (
        lambda grant: (
            grant
            | {
                "vimAssets": {
                    "softwareImages": [{"vnfdSoftwareImageId": "VDU1", "vimSoftwareImageId": key} for key in ("i1", "i2")]
                }
            }
        ),
        "softwareImages maps VDU1 to both i1 and i2",
    ),
    "cp": (_also("extVirtualLinks", {"id": "e", "resourceId": "n", "extCps": [_CP]}), "cpdId CP9, .*linkPortId lp"),
    "link": (
        _also("extManagedVirtualLinks", {"id": "m", "vnfVirtualLinkDescId": "VL9", "resourceId": "n"}),
        "replaces VL9, which the VNFD does not have",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("mode", ["at once", "later"])
async def test_a_wrong_grant_is_told_and_not_used(
    nfvo: NfvoSimulator, asked: GrantRequest, name: str, mode: Mode
) -> None:
    nfvo.mode, nfvo.looks = mode, 0
    nfvo.change, words = WRONG[name]
    with pytest.raises(Permanent, match=words) as wrong:
        await granted(nfvo, asked)
    assert wrong.value.status == 502


def _full(grant: Json) -> Json:
    """A grant with every member of SOL003."""
    cp = {"cpdId": "CP1", "cpConfig": {"c": {"linkPortId": "lp"}}}
    port = {"id": "lp", "resourceHandle": {"resourceId": "port"}}
    asset = {"vimConnectionId": "new", "resourceProviderId": "p"}
    snapshot = {"vnfSnapshotId": "s", "vnfcSnapshotId": "c", "storageSnapshotId": "d", "vimSnapshotResourceId": "v"}
    return grant | {
        "vimConnectionInfo": {"new": {"vimType": "x", "accessInfo": {"username": "u", "password": "p4ss"}}},
        "zones": [{"id": "z1", "zoneId": "az-1", "vimConnectionId": "new", "resourceProviderId": "p"}],
        "zoneGroups": [{"zoneId": ["z1"]}],
        "addResources": [
            info | {"reservationId": "r", "resourceGroupId": "g"} | asset for info in grant["addResources"]
        ],
        "vimAssets": {
            "computeResourceFlavours": [{"vnfdVirtualComputeDescId": "VDU1", "vimFlavourId": "m1"} | asset],
            "softwareImages": [{"vnfdSoftwareImageId": "VDU1", "vimSoftwareImageId": "img"} | asset],
            "snapshotResources": [snapshot | asset],
        },
        "extVirtualLinks": [{"id": "e", "resourceId": "n", "extCps": [cp], "extLinkPorts": [port]}],
        "extManagedVirtualLinks": [{"id": "m", "vnfVirtualLinkDescId": "VL1", "resourceId": "n"}],
        "additionalParams": {"nfv": {"VDU": {"VDU1": {"computeFlavourId": "m1"}}}, "api_token": "t0ken"},
        "someVendorsOwn": {"member": 1},
    }


async def test_every_member_of_a_grant_is_kept(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    nfvo.change = _full
    kept, _ = await granted(nfvo, asked)
    (made,) = nfvo.granted.values()
    expected = _full(made)
    expected.pop("someVendorsOwn")
    assert msgspec.json.decode(msgspec.json.encode(kept)) == expected


async def test_secrets_of_a_grant_are_sealed_before_they_are_recorded(nfvo: NfvoSimulator, asked: GrantRequest) -> None:
    nfvo.change = _full
    vault = Vault(MemoryKeyStore(), MasterKeys([bytes(32)]))

    async def accept(grant: Grant) -> Grant:
        return await sealed(Secrets(vault, "vnf-1"), grant)

    async with client(nfvo) as nfvo_client:
        outcome = await request_grant(nfvo_client, asked, accept, sent=False, about_to_send=nothing)
    assert isinstance(outcome, Confirmed)
    recorded = msgspec.json.encode(outcome.result).decode()
    assert "p4ss" not in recorded
    assert "t0ken" not in recorded
    grant = outcome.result["grant"]
    access = grant["vimConnectionInfo"]["new"]["accessInfo"]
    opened = await vault.open_members("vnf-1", access, path="/vimConnectionInfo/new/accessInfo")
    assert opened == {"username": "u", "password": "p4ss"}
    params = await vault.open_members("vnf-1", grant["additionalParams"], path="/grant/additionalParams")
    assert params["api_token"] == "t0ken"

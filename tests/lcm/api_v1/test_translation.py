"""The translation between the versions, without a server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from forestay_events.errors import Rejected
from forestay_lcm.api.v1.refusals import refused_in_v1
from forestay_lcm.api.v1.representation import notification_v1
from forestay_lcm.api.v1.requests import HEAL_STORAGE, VnfInfoModificationRequestV1, modification, translated
from forestay_lcm.api.v1.shapes import patch_in_camel_case, request_v1, request_v2
from forestay_sol.vnflcm import (
    ChangeExtVnfConnectivityRequest,
    HealVnfRequest,
    InstantiateVnfRequest,
    ScaleVnfRequest,
    TerminateVnfRequest,
)

VIM = {"vimId": "8a8ae2b5-8a4c-4ac5-9ad1-3b0d5d1fd5d9", "accessInfo": {"region": "RegionOne"}}
ADDRESSES = {"ipAddresses": [{"type": "IPV4", "numDynamicAddresses": 1}]}
PROTOCOL = [{"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": ADDRESSES}]


def link(configs: Any) -> dict[str, Any]:
    return {"id": "ext", "resourceId": "net-1", "extCps": [{"cpdId": "CP1", "cpConfig": configs}]}


V1 = {
    "flavourId": "simple",
    "vimConnectionInfo": [{"id": "site", "vimType": "openstack"} | VIM],
    "extVirtualLinks": [link([{"cpProtocolData": PROTOCOL}, {"linkPortId": "port-1"}])],
}
V2 = {
    "flavourId": "simple",
    "vimConnectionInfo": {"site": {"vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_3"} | VIM},
    "extVirtualLinks": [link({"CP1": {"cpProtocolData": PROTOCOL}, "CP1_1": {"linkPortId": "port-1"}})],
}
INSTANCE = {"instantiatedVnfInfo": {"vnfcInfo": [{"id": "VDU1-server-1", "vnfcResourceInfoId": "server-1"}]}}


def as_v2(document: Any, type_: type[msgspec.Struct]) -> Any:
    return as_json(translated(document, type_, INSTANCE))


def as_json(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_there_and_back() -> None:
    assert request_v2(V1) == V2
    assert request_v1(V2) == V1
    assert translated(V1, InstantiateVnfRequest, {}) == msgspec.convert(V2, InstantiateVnfRequest)


@pytest.mark.parametrize(("tenant", "member"), [("nfv", "project"), ("6c2b9fa1d1f64f3ea2f3a0f6a4d1c9be", "projectId")])
def test_keystone_v2_is_v3_with_tenants(tenant: str, member: str) -> None:
    old = {"id": "site", "vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_2", "accessInfo": {"tenant": tenant, "username": "u"}}
    request = request_v2({"flavourId": "simple", "vimConnectionInfo": [old]})
    assert request["vimConnectionInfo"]["site"] == {
        "vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_3",
        "accessInfo": {"username": "u", member: tenant},
    }


def test_cp_instances_are_the_servers() -> None:
    named = {"extVirtualLinks": [link([{"cpInstanceId": "a", "cpProtocolData": PROTOCOL}])]}
    changed = as_v2(named, ChangeExtVnfConnectivityRequest)
    assert changed["extVirtualLinks"] == [link({"CP1": {"cpProtocolData": PROTOCOL}})]


@pytest.mark.parametrize(
    ("body", "type_", "meant"),
    [
        ({}, HealVnfRequest, {"additionalParams": {"all": True}}),
        (
            {"vnfcInstanceId": ["server-1"], "cause": "load"},
            HealVnfRequest,
            {"vnfcInstanceId": ["VDU1-server-1"], "cause": "load", "additionalParams": {"all": True}},
        ),
        (
            {"vnfcInstanceId": ["other"], "additionalParams": {HEAL_STORAGE: False}},
            HealVnfRequest,
            {"vnfcInstanceId": ["other"], "additionalParams": {"all": False, HEAL_STORAGE: False}},
        ),
        (
            {"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 0},
            TerminateVnfRequest,
            {"terminationType": "FORCEFUL"},
        ),
        (
            {"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 3},
            TerminateVnfRequest,
            {"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 3},
        ),
        (
            {"type": "SCALE_IN", "aspectId": "a", "additionalParams": {"is_reverse": "False"}},
            ScaleVnfRequest,
            {"type": "SCALE_IN", "aspectId": "a", "additionalParams": {"is_reverse": "False"}},
        ),
    ],
)
def test_meanings(body: Any, type_: type[msgspec.Struct], meant: Any) -> None:
    assert as_v2(body, type_) == meant


@pytest.mark.parametrize(
    ("body", "type_", "pointer"),
    [
        ({"flavourId": "simple", "extVirtualLinks": [link({"CP1": {}})]}, InstantiateVnfRequest,
         "/extVirtualLinks/0/extCps/0/cpConfig"),
        ({"flavourId": "simple", "vimConnectionInfo": [{"vimType": "openstack"}]}, InstantiateVnfRequest,
         "/vimConnectionInfo/0/id"),
        ({"flavourId": "simple", "vimConnectionInfo": [{"id": "a", "vimType": "b"}, {"id": "c", "vimType": "b"}]},
         InstantiateVnfRequest, "/vimConnectionInfo"),
        ({"additionalParams": {HEAL_STORAGE: "yes"}}, HealVnfRequest, f"/additionalParams/{HEAL_STORAGE}"),
        ([], HealVnfRequest, ""),
    ],
)  # fmt: skip
def test_refusals_point_into_the_body_as_it_came(body: Any, type_: type[msgspec.Struct], pointer: str) -> None:
    with pytest.raises(Rejected) as refused:
        translated(body, type_, INSTANCE)
    assert (refused.value.status, refused.value.pointer) == (400, pointer)


def test_changes_ask_the_class_that_has_made_the_vnf() -> None:
    named = {"lcm-operation-user-data": "UserData/own.py", "lcm-operation-user-data-class": "Own"}
    info = INSTANCE["instantiatedVnfInfo"]
    made = INSTANCE | {"instantiatedVnfInfo": info | {"metadata": {**named, "stack_id": "s"}}}
    scale = {"type": "SCALE_IN", "aspectId": "a", "additionalParams": {"is_reverse": "True"}}
    assert as_json(translated(scale, ScaleVnfRequest, made))["additionalParams"] == named | {"is_reverse": "True"}
    assert as_json(translated({}, HealVnfRequest, made))["additionalParams"] == named | {"all": True}
    other = named | {"lcm-operation-user-data-class": "Other"}
    assert as_json(translated(scale | {"additionalParams": other}, ScaleVnfRequest, made))["additionalParams"] == other


def test_a_patch_may_name_members_as_tacker_does() -> None:
    entry = {"id": "site", "vim_id": "v", "vim_type": "openstack", "interface_info": {"a_b": 1}, "access_info": {}}
    meant = {"id": "site", "vimId": "v", "vimType": "openstack", "interfaceInfo": {"a_b": 1}, "accessInfo": {}}
    patch = {"vnfInstanceName": "n", "vimConnectionInfo": [entry, meant, None]}
    assert patch_in_camel_case(patch) == {"vnfInstanceName": "n", "vimConnectionInfo": [meant, meant, None]}
    assert patch_in_camel_case({"vimConnectionInfo": "x"}) == {"vimConnectionInfo": "x"}


def test_modification() -> None:
    body = {
        "vnfInstanceName": None,
        "vnfPkgId": "pkg-1",
        "vimConnectionInfo": [{"id": "site", "extra": {"a": "b"}}],
        "vimConnectionInfoDeleteIds": ["old"],
    }
    given = msgspec.convert(body, VnfInfoModificationRequestV1)
    assert as_json(modification(given, "vnfd-1")) == {
        "vnfInstanceName": None,
        "vnfdId": "vnfd-1",
        "vimConnectionInfo": {"old": None, "site": {"extra": {"a": "b"}}},
    }


def test_refusals() -> None:
    refused = Rejected(404, "VIM x not found.", pointer="/vimConnectionInfo/site/vimId")
    shown = refused_in_v1("instantiate", refused)
    assert (shown.status, shown.pointer, shown.detail) == (400, "/vimConnectionInfo", "VIM x not found.")
    port = Rejected(400, "no port", pointer="/extVirtualLinks/0/extCps/1/cpConfig/CP1/linkPortId")
    assert refused_in_v1("instantiate", port).pointer == "/extVirtualLinks/0/extCps/1/cpConfig/0/linkPortId"
    steps = Rejected(400, "too many", pointer="/numberOfSteps")
    assert refused_in_v1("scale", steps, {"type": "SCALE_IN"}).title == "can not scale_in"
    final = Rejected(409, "gone", extra={"lcmOpOcc": {"operation": "SCALE", "operationState": "FAILED_TEMP"}})
    assert refused_in_v1("rollback", final).title == "SCALE CAN NOT ROLLBACK"
    busy = Rejected(409, "busy", extra={"lcmOpOcc": {"operation": "SCALE", "operationState": "PROCESSING"}})
    assert refused_in_v1("rollback", busy).title == "OperationState IS NOT FAILED_TEMP"
    assert refused_in_v1("delete", busy).extra == busy.extra


def test_notification() -> None:
    body = {
        "id": "n", "notificationType": "VnfLcmOperationOccurrenceNotification", "verbosity": "FULL",
        "error": {"status": 500, "detail": "no"},
        "_links": {"subscription": {"href": "http://f/vnflcm/v2/subscriptions/s"}},
    }  # fmt: skip
    assert notification_v1(body) == {
        "id": "n", "notificationType": "VnfLcmOperationOccurrenceNotification", "error": '{"status":500,"detail":"no"}',
        "_links": {"subscription": {"href": "http://f/vnflcm/v1/subscriptions/s"}},
    }  # fmt: skip

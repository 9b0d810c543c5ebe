"""The SOL003 types refuse what wire §3.5 and §3.6 refuse, and write what they read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from forestay_sol import vnflcm

CP = {"cpdId": "CP1", "cpConfig": {"c1": {"linkPortId": "p1"}}}


def _ip(**members: Any) -> dict[str, Any]:
    data = {"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": {"ipAddresses": [members]}}
    ext_cp = {"cpdId": "CP1", "cpConfig": {"c1": {"cpProtocolData": [data]}}}
    return {"flavourId": "simple", "extVirtualLinks": [{"id": "v", "resourceId": "n", "extCps": [ext_cp]}]}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "flavourId"),
        ({"flavourId": ""}, "length >= 1"),
        ({"flavourId": "x" * 256}, "length <= 255"),
        ({"flavourId": "simple", "vimConnectionInfo": {"v": {"vimId": "1"}}}, "vimType"),
        ({"flavourId": "simple", "additionalParams": {"a$b": 1}}, "matching regex"),
        ({"flavourId": "simple", "additionalParams": {"a": "x" * 1025}}, "length <= 1024"),
        ({"flavourId": "simple", "extVirtualLinks": [{"id": "v", "resourceId": "n", "extCps": []}]}, "length >= 1"),
        ({"flavourId": "simple", "extVirtualLinks": [{"id": "v", "extCps": [CP]}]}, "resourceId"),
        ({"flavourId": "simple", "extManagedVirtualLinks": [{"id": "v", "resourceId": "n"}]}, "vnfVirtualLinkDescId"),
        (_ip(type="IPV4"), "exactly one of"),
        (_ip(type="IPV4", numDynamicAddresses=1, fixedAddresses=["10.0.0.1"]), "exactly one of"),
        (_ip(type="IPV4", fixedAddresses=["fe80::1"]), "fe80::1"),
        (_ip(type="IPV6", addressRange={"minAddress": "fe80::1", "maxAddress": "10.0.0.1"}), "10.0.0.1"),
        (_ip(type="IPV5", numDynamicAddresses=1), "IPV5"),
    ],
)
def test_instantiate_request_refuses(body: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert(body, vnflcm.InstantiateVnfRequest)


@pytest.mark.parametrize(
    "body",
    [{}, {"terminationType": "SOFT"}, {"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 0}],
)
def test_terminate_request_refuses(body: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, vnflcm.TerminateVnfRequest)


def test_instantiate_request_is_written_as_it_was_read() -> None:
    body = _ip(type="IPV4", fixedAddresses=["10.0.0.1"], subnetId="s") | {
        "vimConnectionInfo": {"vim1": {"vimType": "ETSINFV.OPENSTACK_KEYSTONE.V_3", "accessInfo": {"p": "x" * 2000}}},
        "additionalParams": {"nfv": {"VDU": {"V": {"a": None}}}},
    }
    request = msgspec.json.decode(msgspec.json.encode(body | {"unknown": 1}), type=vnflcm.InstantiateVnfRequest)
    assert msgspec.json.decode(msgspec.json.encode(request)) == body


def test_patch_tells_null_from_absent() -> None:
    patch = msgspec.convert({"vnfInstanceName": None}, vnflcm.VnfInfoModificationRequest)
    assert patch.vnf_instance_name is None
    assert patch.metadata is msgspec.UNSET
    assert msgspec.to_builtins(patch) == {"vnfInstanceName": None}


def test_links_and_flags_are_always_written() -> None:
    occ = vnflcm.VnfLcmOpOcc(
        id="o",
        operation_state="STARTING",
        state_entered_time="2026-01-01T00:00:00Z",
        start_time="2026-01-01T00:00:00Z",
        vnf_instance_id="v",
        operation="INSTANTIATE",
        is_automatic_invocation=False,
        is_cancel_pending=False,
        links={"self": vnflcm.Link(href="/x")},
    )
    written = msgspec.to_builtins(occ)
    assert written["_links"] == {"self": {"href": "/x"}}
    assert written["isCancelPending"] is False
    assert "grantId" not in written

"""A VNFD, a VIM connection and commands for tests that are not about packages or clouds."""

from __future__ import annotations

from typing import Any

import msgspec
from forestay_lcm.domain.commands import CreateVnf, Instantiate, ReportStep, Terminate
from forestay_lcm.domain.state import Vnf
from forestay_sol.vnfd import BaseHot, Flavour, InstantiationLevel, Vdu, Vnfd
from forestay_sol.vnflcm import CreateVnfRequest, InstantiateVnfRequest, TerminateVnfRequest, VimConnectionInfo

PROJECT = "nfv"
OPENSTACK = "ETSINFV.OPENSTACK_KEYSTONE.V_3"

VNFD = Vnfd(
    vnfd_id="vnfd-1",
    provider="Forestay",
    product_name="Sample",
    software_version="1.0",
    vnfd_version="1.0",
    flavours={
        "simple": Flavour(
            id="simple",
            vdus={"VDU1": Vdu(id="VDU1", name="VDU1", max_instances=3, requested_capability="m1.tiny")},
            instantiation_levels={
                "one": InstantiationLevel(id="one", vdu_counts={"VDU1": 1}),
                "three": InstantiationLevel(id="three", vdu_counts={"VDU1": 3}),
            },
            default_level_id="one",
            base_hot=BaseHot(path="BaseHOT/simple/top.yaml", template="heat_template_version: 2018-08-31\n"),
        )
    },
    configurable_properties={"autoscale": False},
    extensions={"region": "north"},
    metadata={"maturity": "test"},
)

CONNECTIONS = {
    "vim1": VimConnectionInfo(
        vim_id="8a8ae2b5-8a4c-4ac5-9ad1-3b0d5d1fd5d9",
        vim_type=OPENSTACK,
        interface_info={"endpoint": "http://keystone.example:5000/v3"},
        access_info={"username": "nfv_user", "password": "sealed:1.token"},
    )
}

INFO: dict[str, Any] = {
    "flavourId": "simple",
    "vnfState": "STARTED",
    "vnfcResourceInfo": [
        {
            "id": "server-1",
            "vduId": "VDU1",
            "computeResource": {"vimConnectionId": "vim1", "resourceId": "server-1", "vimLevelResourceType": "OS::Nova::Server"},
        }
    ],
}  # fmt: skip
"""An ``instantiatedVnfInfo`` as ``read-back`` reports it."""


def create(**members: Any) -> CreateVnf:
    return CreateVnf(msgspec.convert({"vnfdId": VNFD.vnfd_id} | members, CreateVnfRequest), VNFD)


def instantiate(vim_type: str = OPENSTACK, **members: Any) -> Instantiate:
    request = msgspec.convert({"flavourId": "simple"} | members, InstantiateVnfRequest)
    connections = {key: msgspec.structs.replace(info, vim_type=vim_type) for key, info in CONNECTIONS.items()}
    return Instantiate(request, VNFD, connections)


def terminate(kind: str = "FORCEFUL", **members: Any) -> Terminate:
    return Terminate(msgspec.convert({"terminationType": kind} | members, TerminateVnfRequest))


def confirmed(vnf: Vnf | None, **result: Any) -> ReportStep:
    """The report that the present step is done, with what such a step gives."""
    step, attempt, op_id = present(vnf)
    results: dict[str, dict[str, Any]] = {
        "grant": {"grant_request": {}, "grant": {"id": "grant-1"}},
        "create-stack": {"stack_id": "stack-1", "stack_name": "vnf-1"},
        "read-back": {"instantiated_vnf_info": INFO},
    }
    return ReportStep(op_id, step, attempt, "CONFIRMED", result=result or results.get(step, {}))


def failed(vnf: Vnf | None, detail: str = "No valid host was found.") -> ReportStep:
    step, attempt, op_id = present(vnf)
    return ReportStep(op_id, step, attempt, "FAILED", error={"title": "Step failed", "status": 422, "detail": detail})


def unknown(vnf: Vnf | None) -> ReportStep:
    step, attempt, op_id = present(vnf)
    return ReportStep(op_id, step, attempt, "UNKNOWN", error={"detail": "no answer"})


def present(vnf: Vnf | None) -> tuple[str, int, str]:
    """Name and attempt of the present step, and its operation's id."""
    assert vnf is not None
    assert vnf.operation is not None
    run = vnf.operation.current
    assert run is not None, f"{vnf.operation.state} has no present step"
    return run.step.name, run.attempt, vnf.operation.id

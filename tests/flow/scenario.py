"""The main job, as a client does it: onboard a package, instantiate it, look, terminate it. One list for every cloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forestay_standalone.rest import RestApi
from yarl import URL

from tests.flow.cloud import TestCloud
from tests.packages.build import build_csar

Json = dict[str, Any]
PACKAGES = Path(__file__).parents[1] / "packages"
ENDED = {"COMPLETED", "FAILED_TEMP", "FAILED", "ROLLED_BACK"}


@dataclass(frozen=True)
class Sample:
    """A sample package: how it is instantiated and what is then there."""

    name: str
    external_cps: tuple[str, ...]
    vnfcs: tuple[str, ...]
    fixed_address: str | None = None


SAMPLES = (
    Sample("sample-asg", external_cps=("VDU1_CP1",), vnfcs=("VDU1",)),
    Sample(
        "sample-two-vdus",
        external_cps=("VDU1_CP1", "VDU2_CP1"),
        vnfcs=("VDU1", "VDU2"),
        fixed_address="10.10.0.77",
    ),
)
GROUP, PAIR = SAMPLES

#: Each VNFC is a resource of its own, with a volume.
NUMBERED = Sample("sample-vnfcs", external_cps=("VDU1_CP1",), vnfcs=("VDU1",))


async def instantiate_body(cloud: TestCloud, sample: Sample) -> Json:
    """InstantiateVnfRequest that connects every external CP to the cloud's network ``private``."""
    network, subnet = await cloud.network("private")

    def addresses(cp: str) -> Json:
        fixed = cp == "VDU1_CP1" and sample.fixed_address
        wanted = {"fixedAddresses": [sample.fixed_address]} if fixed else {"numDynamicAddresses": 1}
        return {"type": "IPV4", "subnetId": subnet} | wanted

    cps = [
        {
            "cpdId": cp,
            "cpConfig": {
                cp: {
                    "cpProtocolData": [
                        {
                            "layerProtocol": "IP_OVER_ETHERNET",
                            "ipOverEthernet": {"ipAddresses": [addresses(cp)]},
                        }
                    ]
                }
            },
        }
        for cp in sample.external_cps
    ]
    return {"flavourId": "simple", "extVirtualLinks": [{"id": "ext-net", "resourceId": network, "extCps": cps}]}


async def onboard(api: RestApi, sample: Sample, directory: Path) -> Json:
    """The onboarded package."""
    package = await api.send("POST", "/vnfpkgm/v1/vnf_packages", {})
    uri = f"/vnfpkgm/v1/vnf_packages/{package['id']}"
    await api.upload(f"{uri}/package_content", build_csar(PACKAGES / sample.name, directory / f"{sample.name}.zip"))
    return await api.until(uri, "onboardingState", {"ONBOARDED"}, {"CREATED"})


async def create(api: RestApi, vnfd_id: str, name: str = "vnf") -> str:
    """URI of a new VNF instance."""
    vnf = await api.send("POST", "/vnflcm/v2/vnf_instances", {"vnfdId": vnfd_id, "vnfInstanceName": name})
    return f"/vnflcm/v2/vnf_instances/{vnf['id']}"


async def start(api: RestApi, vnf_uri: str, task: str, body: Json) -> str:
    """URI of the operation occurrence."""
    started = await api.send("POST", f"{vnf_uri}/{task}", body)
    return URL(started["location"]).path


async def operate(api: RestApi, vnf_uri: str, task: str, body: Json, *, patience: float = 60) -> Json:
    """The ended operation occurrence."""
    return await api.until(await start(api, vnf_uri, task, body), "operationState", ENDED, set(), patience=patience)


async def main_job(
    api: RestApi,
    cloud: TestCloud,
    sample: Sample,
    directory: Path,
    *,
    patience: float = 60,
    look: Callable[[Json], None] = lambda _: None,
) -> Json:
    """From the package to an empty cloud; returns the VNF instance as it was when it ran."""
    package = await onboard(api, sample, directory)
    vnf = await create(api, package["vnfdId"])
    operation = await operate(api, vnf, "instantiate", await instantiate_body(cloud, sample), patience=patience)
    assert operation["operationState"] == "COMPLETED", operation
    instance = await api.send("GET", vnf)
    assert instance["instantiationState"] == "INSTANTIATED"
    info = instance["instantiatedVnfInfo"]
    assert sorted(vnfc["vduId"] for vnfc in info["vnfcResourceInfo"]) == sorted(sample.vnfcs)
    look(instance)
    operation = await operate(api, vnf, "terminate", {"terminationType": "FORCEFUL"}, patience=patience)
    assert operation["operationState"] == "COMPLETED", operation
    assert (await api.send("GET", vnf))["instantiationState"] == "NOT_INSTANTIATED"
    await api.send("DELETE", vnf)
    uri = f"/vnfpkgm/v1/vnf_packages/{package['id']}"
    await api.send("PATCH", uri, {"operationalState": "DISABLED"})
    await api.send("DELETE", uri)
    return instance


async def whole_life(api: RestApi, cloud: TestCloud, directory: Path, *, patience: float = 60) -> None:
    """Every operation that sample-asg knows, one after the other, on one VNF."""
    sample = SAMPLES[0]
    package = await onboard(api, sample, directory)
    vnf = await create(api, package["vnfdId"])

    async def done(task: str, body: Json) -> Json:
        operation = await operate(api, vnf, task, body, patience=patience)
        assert operation["operationState"] == "COMPLETED", operation
        return operation

    async def servers() -> dict[str, Json]:
        info = (await api.send("GET", vnf))["instantiatedVnfInfo"]
        return {vnfc["id"]: vnfc for vnfc in info["vnfcResourceInfo"]}

    request = await instantiate_body(cloud, sample)
    await done("instantiate", request)
    first = await servers()
    scaled = await done("scale", {"type": "SCALE_OUT", "aspectId": "VDU1_scale"})
    assert [item["changeType"] for item in scaled["resourceChanges"]["affectedVnfcs"]] == ["ADDED"]
    grown = await servers()
    assert len(grown) == 2
    assert grown.keys() > first.keys()
    await done("scale", {"type": "SCALE_IN", "aspectId": "VDU1_scale"})
    assert len(await servers()) == 1

    info = (await api.send("GET", vnf))["instantiatedVnfInfo"]
    before = await servers()
    healed = await done("heal", {"vnfcInstanceId": [info["vnfcInfo"][0]["id"]], "cause": "test"})
    assert {item["changeType"] for item in healed["resourceChanges"]["affectedVnfcs"]} == {"ADDED", "REMOVED"}
    assert not before.keys() & (await servers()).keys()

    await done("operate", {"changeStateTo": "STOPPED", "stopType": "FORCEFUL"})
    assert (await api.send("GET", vnf))["instantiatedVnfInfo"]["vnfState"] == "STOPPED"
    await done("operate", {"changeStateTo": "STARTED"})
    await done("scale_to_level", {"instantiationLevelId": "instantiation_level_2"})
    assert len(await servers()) > 1
    await done("change_ext_conn", {"extVirtualLinks": await other_links(cloud, request)})
    await done("terminate", {"terminationType": "FORCEFUL"})
    await api.send("DELETE", vnf)


async def other_links(cloud: TestCloud, request: Json) -> list[Json]:
    """The external virtual links of a request, but on the network ``mgmt`` with dynamic addresses."""
    network, subnet = await cloud.network("mgmt")
    address = {"type": "IPV4", "subnetId": subnet, "numDynamicAddresses": 1}
    protocol = {"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": {"ipAddresses": [address]}}
    cps = [
        {"cpdId": cp["cpdId"], "cpConfig": {key: {"cpProtocolData": [protocol]} for key in cp["cpConfig"]}}
        for link in request["extVirtualLinks"]
        for cp in link["extCps"]
    ]
    return [{"id": "other-net", "resourceId": network, "extCps": cps}]

"""A VNF instance of a sample or a variant of one, from its creation to its end, one operation after the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from forestay_standalone.rest import RestApi

from tests.flow.changes import assert_changes
from tests.flow.clouds import ScenarioCloud
from tests.flow.scenario import Sample, create, instantiate_body, operate
from tests.scripts.packages import onboarded, variant

Json = dict[str, Any]
SCALE_OUT: Json = {"type": "SCALE_OUT", "aspectId": "VDU1_scale"}
SCALE_IN: Json = {"type": "SCALE_IN", "aspectId": "VDU1_scale"}
THREE: Json = {"instantiationLevelId": "instantiation_level_2"}


@dataclass(frozen=True)
class Life:
    """A VNF instance.

    :ivar uri: of the VNF instance.
    :ivar request: the body that instantiates it.
    """

    api: RestApi
    cloud: ScenarioCloud
    uri: str
    request: Json

    async def done(self, task: str, body: Json, state: str = "COMPLETED") -> Json:
        """The operation occurrence, which has ended in ``state``; one that has ended well tells just what it has changed."""
        before = await self.info()
        operation = await operate(self.api, self.uri, task, body, patience=self.cloud.patience)
        assert operation["operationState"] == state, operation
        if state == "COMPLETED":
            assert_changes(before, await self.info(), operation)
        return operation

    async def instantiated(self, **members: Any) -> Json:
        """The VNF instance, once it runs."""
        await self.done("instantiate", self.request | members)
        return await self.shown()

    async def handled(self, operation: Json, how: str, state: str) -> Json:
        """An operation in FAILED_TEMP that is retried, rolled back or failed ends in ``state``."""
        uri = f"/vnflcm/v2/vnf_lcm_op_occs/{operation['id']}"
        await self.api.send("POST", f"{uri}/{how}")
        ends = {"COMPLETED", "ROLLED_BACK", "FAILED", *({"FAILED_TEMP"} if state == "FAILED_TEMP" else ())}
        bad = {"FAILED_TEMP"} - ends if how != "retry" else set[str]()
        ended = await self.api.until(uri, "operationState", ends, bad, patience=self.cloud.patience)
        assert ended["operationState"] == state, ended
        return ended

    async def shown(self) -> Json:
        return await self.api.send("GET", self.uri)

    async def info(self) -> Json:
        """The ``instantiatedVnfInfo``; empty when it is not instantiated."""
        shown = await self.shown()
        return shown["instantiatedVnfInfo"] if shown["instantiationState"] == "INSTANTIATED" else {}

    async def vnfcs(self) -> dict[str, Json]:
        """The ``vnfcResourceInfo`` by id; a VNFC's id is that of its server."""
        return {vnfc["id"]: vnfc for vnfc in (await self.info())["vnfcResourceInfo"]}

    async def of_vdu(self, vdu: str) -> list[str]:
        """The ids of the ``vnfcInfo`` of a VDU, by which VNFCs are healed."""
        return [vnfc["id"] for vnfc in (await self.info())["vnfcInfo"] if vnfc["vduId"] == vdu]

    async def servers(self) -> list[Json]:
        """The VNF's servers as Nova shows them."""
        [servers] = await self.cloud.resources(("compute", "/servers/detail", "servers"))
        ids = (await self.vnfcs()).keys()
        return [server for server in servers if server["id"] in ids]

    async def volumes(self) -> list[Json]:
        """The VNF's volumes as Cinder shows them."""
        [volumes] = await self.cloud.resources(("volumev3", "/volumes/detail", "volumes"))
        ids = {each["storageResource"]["resourceId"] for each in (await self.info())["virtualStorageResourceInfo"]}
        return [volume for volume in volumes if volume["id"] in ids]

    async def ends(self) -> None:
        """Terminate and delete it."""
        await self.done("terminate", {"terminationType": "FORCEFUL"})
        assert (await self.shown())["instantiationState"] == "NOT_INSTANTIATED"
        await self.gone()

    async def gone(self) -> None:
        """Delete it."""
        await self.api.send("DELETE", self.uri)


async def package(api: RestApi, directory: Path, sample: Sample, **changes: Any) -> str:
    """The vnfdId of a package of its own; ``changes`` as of :func:`variant`."""
    vnfd_id = str(uuid4())
    await onboarded(api, variant(directory, sample.name, name=vnfd_id, vnfd_id=vnfd_id, **changes))
    return vnfd_id


async def born(api: RestApi, cloud: ScenarioCloud, directory: Path, sample: Sample, **changes: Any) -> Life:
    """A VNF instance that was created."""
    vnfd_id = await package(api, directory, sample, **changes)
    return await another(api, cloud, vnfd_id, sample)


async def another(api: RestApi, cloud: ScenarioCloud, vnfd_id: str, sample: Sample) -> Life:
    """A VNF instance of a package that is there."""
    return Life(api, cloud, await create(api, vnfd_id), await instantiate_body(cloud, sample))

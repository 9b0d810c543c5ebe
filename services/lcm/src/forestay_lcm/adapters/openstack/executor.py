"""The OpenStack driver as an executor of steps: finds the cloud and the order of a step, then takes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import msgspec
from forestay_events.blobs import FileBlobStore
from forestay_sol.vnflcm import InstantiatedVnfInfo

from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.clients.oauth_heat import heat_client
from forestay_lcm.adapters.openstack.connections import connection_of
from forestay_lcm.adapters.openstack.images import IMAGE_HANDLERS, ImageJob
from forestay_lcm.adapters.openstack.job import Job
from forestay_lcm.adapters.openstack.orders import order_of
from forestay_lcm.adapters.openstack.packaged import Package, packaged_images
from forestay_lcm.adapters.openstack.settings import OpenStackSettings
from forestay_lcm.adapters.openstack.steps import take
from forestay_lcm.catalogue import Catalogue
from forestay_lcm.domain.grants.operations import flavour_after, vnfd_after
from forestay_lcm.domain.images import chosen, grant_of, staying
from forestay_lcm.domain.seen import servers_of
from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.executor import Confirmed, Outcome, Turn, pause
from forestay_lcm.secrets import Secrets


class OpenStackSteps:
    """:class:`~forestay_lcm.executor.Executor` for VIMs of type ``ETSINFV.OPENSTACK_KEYSTONE.V_3``."""

    def __init__(self, catalogue: Catalogue, blobs: FileBlobStore, settings: OpenStackSettings) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._blobs = blobs
        self._clouds = Clouds(egress=catalogue.egress, heat_client=heat_client(settings))

    async def __aenter__(self) -> Self:
        await self._clouds.__aenter__()
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._clouds.close()

    async def run(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        key = connection_of(vnf, operation)
        info = vnf.vim_connections[key]
        connection = await self._catalogue.open_connection(vnf.project, vnf.id, key, info)
        cloud = self._clouds.cloud(connection, vnf.project)
        waited = (datetime.now(UTC) - run.since).total_seconds() if run.since else 0.0
        return await cloud.pace.look(self._taken(cloud, key, vnf, operation, run, turn), pause(waited))

    async def _taken(self, cloud: Cloud, key: str, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        if run.step.kind in IMAGE_HANDLERS:
            return await IMAGE_HANDLERS[run.step.kind](cloud, await self._image_job(vnf, operation, run, turn))
        assert run.since is not None, "an intended step has a time"  # noqa: S101
        secrets = self._catalogue.secrets_of(vnf.id)
        operation = await secrets.open_operation(operation)
        job = Job(
            vnf_id=vnf.id,
            op_id=operation.id,
            step=run.step.name,
            attempt=run.attempt,
            started_at=run.since,
            deadline=run.since + timedelta(seconds=run.step.timeout),
            connection_id=key,
            results=await secrets.open_results(operation.results),
            order=await order_of(
                vnf,
                operation,
                lambda vnfd_id: self._catalogue.vnfd(vnf.project, vnfd_id),
                bit_rates=self._settings.openstack_bit_rates,
            ),
            before=await _opened(secrets, vnf.instantiated_vnf_info),
            vnfc_ids=vnf.metadata.get("VDU_VNFc_mapping") or {},
            settings=self._settings,
            fence=turn,
        )
        outcome = await take(cloud, job)
        if isinstance(outcome, Confirmed):
            return Confirmed(await secrets.seal_result(run.step.name, outcome.result))
        return outcome

    async def _image_job(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> ImageJob:
        """The images of the flavour that the VNF is going to have, but for those that the NFVO has chosen."""
        of_vnf = ImageJob(vnf_id=vnf.id, op_id=operation.id, fence=turn)
        if run.step.kind == "delete-images":
            return of_vnf
        if run.step.kind == "drop-images":
            return replace(of_vnf, keep=staying(vnf, operation), servers=servers_of(vnf, operation))
        vnfd = await self._catalogue.vnfd(vnf.project, vnfd_after(vnf, operation))
        digest = await self._catalogue.package(vnf.project, vnfd.vnfd_id)
        flavour = vnfd.flavours.get(flavour_after(vnf, operation) or "")
        others = chosen(grant_of(vnf, operation), flavour) if flavour else ()
        return replace(
            of_vnf,
            images=packaged_images(vnfd, flavour, digest, without=others) if flavour else (),
            package=Package(self._blobs, digest),
            keep=frozenset(vnf.images.values()),
        )


async def _opened(secrets: Secrets, info: InstantiatedVnfInfo | None) -> InstantiatedVnfInfo | None:
    """What was read back last, with the secrets in the clear that were sealed with it: parameters of the stack."""
    if info is None:
        return None
    opened = await secrets.open_results({"read-back": {"instantiated_vnf_info": msgspec.to_builtins(info)}})
    return msgspec.convert(opened["read-back"]["instantiated_vnf_info"], InstantiatedVnfInfo)

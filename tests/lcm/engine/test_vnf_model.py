"""The random walk of the domain's tests on a real log with a real copy: after each command, the fold of the log, the row of
the read model and what the API shows are the same."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import ClassVar

import msgspec
from forestay_events.config import BaseConfig
from forestay_events.store import EventStore
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.state import Vnf
from forestay_lcm.projections.instances import pending_work
from forestay_lcm.projections.representation import op_occ_document, vnf_document
from forestay_lcm.projections.snapshots import InstanceSnapshots
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from tests.lcm.api.client import INSTANCES, OP_OCCS, Client, client
from tests.lcm.domain.test_vnf_model import VnfModel
from tests.lcm.engine.running import Lcm, running

NOT_RUNNING = ("engine", "sweeper", "outbox", "requests")


class EngineModel(VnfModel):
    """One service with the API and its projector; steps are reported by the walk itself."""

    config: ClassVar[BaseConfig]

    def open(self) -> EventStore:
        self.opened = AsyncExitStack()
        self.lcm: Lcm = self.wait(self.opened.enter_async_context(running(self.config, without=NOT_RUNNING)))
        self.api: Client = self.wait(self.opened.enter_async_context(client(self.lcm.url)))
        return self.lcm.platform.store

    def teardown(self) -> None:
        self.wait(self.opened.aclose())
        super().teardown()

    @invariant()
    def row_and_api_are_the_fold(self) -> None:
        self.wait(self._compare())

    async def _compare(self) -> None:
        platform = self.lcm.platform
        last = await platform.store.last(VNF.subject(self.id))
        if last is None or self.state is None:
            return
        await platform.positions.wait("lcm", "LCM", last.seq, timeout=60)
        snapshot = await InstanceSnapshots(platform.pool, "lcm").newest(self.id)
        assert snapshot is not None
        assert (snapshot.state, snapshot.version, snapshot.seq, snapshot.hash) == (
            self.state, last.commit.version, last.seq, last.hash,
        )  # fmt: skip
        await self._compare_documents(self.state)

    async def _compare_documents(self, vnf: Vnf) -> None:
        shown = await self.api.get(f"{INSTANCES}/{self.id}")
        if vnf.deleted:
            shown.problem(404)
        else:
            assert without_links(shown.body) == msgspec.json.decode(vnf_document(vnf))
        for operation in [*self.ended.values(), *([vnf.operation] if vnf.operation else [])]:
            shown = await self.api.get(f"{OP_OCCS}/{operation.id}")
            if vnf.operation is not None and operation.id == vnf.operation.id:
                assert without_links(shown.body) == msgspec.json.decode(op_occ_document(vnf, operation))
            assert shown.body["operationState"] == operation.state
        work = pending_work(vnf)
        row = await self.lcm.platform.pool.fetchrow(
            "SELECT work_executor, work_lane FROM lcm.op_occ WHERE vnf_id = $1 AND work_executor IS NOT NULL", self.id
        )
        assert (row and tuple(row)) == (work and (work.executor, work.lane)), "the sweeper looks here for lost work"


def without_links(body: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if name != "_links"}


def test_log_row_and_view(config: BaseConfig) -> None:
    EngineModel.config = config
    few = settings(
        max_examples=20,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
    run_state_machine_as_test(EngineModel, settings=few)

"""A VNF instance as it was at a version or at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
from forestay_events.config import BaseConfig
from forestay_lcm.domain.commands import DeleteVnf
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.state import Vnf
from forestay_lcm.projections.history import EVERY
from forestay_lcm.projections.representation import op_occ_document, vnf_document

from tests.lcm.history.site import Json, Site, site
from tests.lcm.samples import terminate


async def folds(here: Site, vnf_id: str) -> list[Vnf]:
    """The state behind each commit, from the log."""
    state: Vnf | None = None
    states: list[Vnf] = []
    for stored in await here.platform.store.load(VNF.subject(vnf_id)):
        state = VNF.fold(state, stored.commit)
        assert state is not None
        states.append(state)
    return states


def shown(found: Json) -> tuple[Any, Any, bool]:
    return found["vnfInstance"], found.get("vnfLcmOpOcc"), found["deleted"]


def expected(vnf: Vnf) -> tuple[Any, Any, bool]:
    operation = msgspec.json.decode(op_occ_document(vnf, vnf.operation)) if vnf.operation else None
    return msgspec.json.decode(vnf_document(vnf)), operation, vnf.deleted


async def life(here: Site) -> str:
    """An instance from its creation to its deletion."""
    vnf_id = await here.instantiated()
    await here.modified(vnf_id, {"vnfInstanceName": "edge"})
    await here.do(vnf_id, terminate())
    await here.settle(vnf_id)
    await here.do(vnf_id, DeleteVnf())
    return vnf_id


async def test_every_version_of_a_life_is_shown_as_it_was(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id = await life(here)
        states = await folds(here, vnf_id)
        assert len(states) > 10
        for version, state in enumerate(states, 1):
            found = await here.get(f"/vnf_instances/{vnf_id}", version=str(version))
            assert found["version"] == version
            assert shown(found) == expected(state)
        newest = await here.get(f"/vnf_instances/{vnf_id}")
        assert newest["deleted"]
        assert newest["version"] == len(states)


async def test_a_time_finds_what_was_so_then(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id = await life(here)
        commits = [stored.commit for stored in await here.platform.store.load(VNF.subject(vnf_id))]
        for entry in await here.get(f"/vnf_instances/{vnf_id}/timeline"):
            found = await here.get(f"/vnf_instances/{vnf_id}", at=entry["at"])
            assert (found["version"], found["at"]) == (entry["version"], entry["at"])
        before = commits[0].at - timedelta(milliseconds=1)
        await here.get(f"/vnf_instances/{vnf_id}", 404, at=before.isoformat())
        later = await here.get(f"/vnf_instances/{vnf_id}", at="2999-01-01T00:00:00+02:00")
        assert later["version"] == len(commits)


async def test_secrets_are_shown_no_more_than_in_the_present(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id = await life(here)
        assert any("sealed:" in raw for raw in await raw_events(here, vnf_id))
        pages = [await here.get(f"/vnf_instances/{vnf_id}/timeline")]
        pages += [await here.get(f"/vnf_instances/{vnf_id}", version=str(n)) for n in range(1, 12)]
        assert "sealed:" not in msgspec.json.encode(pages).decode()


async def raw_events(here: Site, vnf_id: str) -> list[str]:
    return [
        bytes(raw).decode()
        for stored in await here.platform.store.load(VNF.subject(vnf_id))
        for raw in stored.commit.events
    ]


async def test_what_makes_no_sense_is_refused(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id = await here.created()
        for version in ("0", "x", "-1", "1" * 30, "1.0", "\u0661"):
            await here.get(f"/vnf_instances/{vnf_id}", 400, version=version)
        for at in ("yesterday", "2026-01-01T00:00:00", "9999-12-31T23:00:00-14:00", "2026-02-30T00:00:00Z"):
            problem = await here.get(f"/vnf_instances/{vnf_id}", 400, at=at)
            assert problem["detail"].startswith("at: ")
        await here.get(f"/vnf_instances/{vnf_id}", 400, version="1", at="2026-01-01T00:00:00Z")


async def test_another_project_has_no_history_here(bare: BaseConfig) -> None:
    async with site(bare) as here:
        theirs, ours = await here.created("other"), await here.created()
        for path in ("", "/timeline", "/events"):
            await here.get(f"/vnf_instances/{theirs}{path}", 404)
            await here.get(f"/vnf_instances/{uuid4()}{path}", 404)
            await here.get(f"/vnf_instances/*{path}", 404)
        await here.get(f"/vnf_instances/{ours}", 404, version="2")


async def test_a_long_history_is_folded_from_a_snapshot(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id = await here.created()
        await here.modified(vnf_id, *({"vnfInstanceName": str(number)} for number in range(EVERY + 20)))
        states = await folds(here, vnf_id)
        await here.get(f"/vnf_instances/{vnf_id}")
        kept = await here.platform.pool.fetch("SELECT version FROM lcm.history_snapshot WHERE vnf_id = $1", vnf_id)
        assert len(kept) == len(states) // EVERY
        for version in (1, EVERY - 1, EVERY, EVERY + 1, len(states)):
            found = await here.get(f"/vnf_instances/{vnf_id}", version=str(version))
            assert shown(found) == expected(states[version - 1])


async def test_a_snapshot_that_cannot_be_read_costs_time_only(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id = await life(here)
        states = await folds(here, vnf_id)
        await here.platform.pool.execute("INSERT INTO lcm.history_snapshot VALUES ($1, 3, $2)", vnf_id, b'{"id": 7}')
        found = await here.get(f"/vnf_instances/{vnf_id}", version="5")
        assert shown(found) == expected(states[4])

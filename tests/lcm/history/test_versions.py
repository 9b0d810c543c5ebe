"""Version N of any history is the fold of its first N commits, wherever the snapshots lie."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import pytest
from forestay_events.config import BaseConfig
from forestay_events.errors import Rejected
from forestay_lcm.domain.commands import Handle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lcm.domain.test_vnf_model import COMMANDS, MOVES, Command, Move, known
from tests.lcm.history.site import Site, site
from tests.lcm.history.test_instance import expected, folds, shown
from tests.lcm.samples import COMING, VNFD, create, instantiate

World = tuple[asyncio.AbstractEventLoop, Site]


@pytest.fixture
def world(bare: BaseConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A history that takes a snapshot of every third version, with a loop of its own."""
    monkeypatch.setattr("forestay_lcm.projections.history.EVERY", 3)
    loop = asyncio.new_event_loop()
    context = site(bare)
    here = loop.run_until_complete(context.__aenter__())
    yield loop, here
    loop.run_until_complete(context.__aexit__(None, None, None))
    loop.close()


@given(choices=st.lists(st.sampled_from([*COMMANDS, *MOVES * 4]), max_size=30))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_version(world: World, choices: list[Command | Move]) -> None:
    loop, here = world
    loop.run_until_complete(told_as_folded(here, choices))


async def told_as_folded(here: Site, choices: list[Command | Move]) -> None:
    vnf_id = str(uuid4())
    await here.do(vnf_id, create(), instantiate())
    for choice in choices:
        state = (await here.vnfs.load(vnf_id)).state
        assert state is not None
        assert state.operation is not None
        with suppress(Rejected):
            if not isinstance(choice, Move):
                await here.do(vnf_id, choice(known(state, (VNFD, COMING))))
            elif state.operation.current is not None:
                await here.do(vnf_id, choice.report)
            else:
                await here.do(vnf_id, Handle(state.operation.id, choice.how))
    for version, state in enumerate(await folds(here, vnf_id), 1):
        assert shown(await here.get(f"/vnf_instances/{vnf_id}", version=str(version))) == expected(state)

"""docs/streams.md is what the code says, and its example does what it says."""

from __future__ import annotations

import asyncio
import gc
import sys
from asyncio.subprocess import PIPE
from importlib import import_module
from typing import Any

import msgspec
from forestay_events.aggregate import Definition
from forestay_events.config import BaseConfig
from forestay_lcm.domain.decide import VNF
from jsonschema import Draft202012Validator

from docs.draw_streams import EXAMPLE, KINDS, events, pages, schemas
from tests.lcm.domain.story import told
from tests.lcm.history.site import site
from tests.lcm.samples import confirmed, create, failed, handle, instantiate


def test_the_pages_are_up_to_date() -> None:
    for path, text in pages():
        assert path.read_text(encoding="utf-8") == text, "run: python docs/draw_streams.py"


def test_every_kind_of_aggregate_is_on_them() -> None:
    import_module("forestay_standalone.all_in_one")
    alive = [each for each in gc.get_objects() if isinstance(each, Definition)]
    ours = {each.subject("x") for each in alive if events(each)[0].__module__.startswith("forestay_")}
    assert ours == {definition.subject("x") for definition, _ in KINDS}, "add it in docs/draw_streams.py"


def test_commits_are_what_the_schemas_say() -> None:
    document = msgspec.json.decode(schemas())
    story = told(create(), instantiate(), confirmed, failed, handle("retry")).until("", confirmed)

    def valid(instance: Any, name: str) -> bool:
        return Draft202012Validator(document | {"$ref": f"#/{name}"}).is_valid(instance)

    for commit in story.commits:
        plain = msgspec.to_builtins(commit, builtin_types=(msgspec.Raw,)) | {"events": []}
        assert valid(msgspec.json.decode(msgspec.json.encode(plain)), "commit")
        assert all(valid(msgspec.json.decode(event), "lcm.vnf") for event in commit.events)
    assert not valid({"type": "StepConfirmed"}, "lcm.vnf")
    assert not valid({"type": "SomethingElse"}, "lcm.vnf")


async def test_the_example_follows_from_where_it_was(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id = await here.instantiated()
        commits = await here.platform.store.load(VNF.subject(vnf_id))
        process = await asyncio.create_subprocess_exec(
            sys.executable, EXAMPLE, bare.nats_url, str(commits[0].seq), stdout=PIPE
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(60):
                for stored in commits[1:]:
                    for event in VNF.codec.decode(stored.commit):
                        line = (await process.stdout.readline()).decode().rstrip("\n").split("\t")
                        assert line == [str(stored.seq), vnf_id, type(event).__name__, stored.commit.reason]
        finally:
            process.kill()
            await process.wait()

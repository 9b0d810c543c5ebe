"""Lists of VNF instances and operation occurrences: filters, selectors, pages (SOL013 5.2 to 5.4)."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from forestay_events.config import BaseConfig

from tests.lcm.api.client import INSTANCES, OP_OCCS, Answer, Client, client
from tests.lcm.engine.running import running
from tests.lcm.engine.scripted_vim import ScriptedVim

MANDATORY = {
    "id", "vnfdId", "vnfProvider", "vnfProductName", "vnfSoftwareVersion", "vnfdVersion", "instantiationState", "_links",
}  # fmt: skip


def names(answer: Answer) -> set[str]:
    assert answer.status == 200, answer.body
    return {entry["vnfInstanceName"] for entry in answer.body}


async def whole(api: Client, path: str) -> tuple[list[dict[str, Any]], int]:
    """All entries of a list, following its links, and the number of its pages."""
    entries: list[dict[str, Any]] = []
    pages = 0
    while path:
        answer = await api.get(path)
        entries += answer.body
        pages += 1
        link = re.fullmatch(r'<https?://[^/]+([^>]+)>;rel="next"', answer.headers.get("Link", ""))
        path = link[1] if link else ""
    return entries, pages


async def test_vnf_instances(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        for name, place in (("edge-1", "north"), ("edge-2", "south"), ("core, 'main'", "north")):
            await api.create(vnfInstanceName=name, metadata={"place": place})
        vnf_id = (await api.get(f"{INSTANCES}?filter=(eq,vnfInstanceName,edge-2)")).body[0]["id"]
        await api.post(f"{INSTANCES}/{vnf_id}/instantiate", {"flavourId": "simple"})
        await lcm.until(vnf_id, "COMPLETED")
        await api.get(f"{INSTANCES}/{vnf_id}")

        for query, expected in (
            ("(eq,metadata/place,north)", {"edge-1", "core, 'main'"}),
            ("(eq,metadata/place,north);(cont,vnfInstanceName,edge)", {"edge-1"}),
            ("(in,vnfInstanceName,edge-1,edge-2)", {"edge-1", "edge-2"}),
            ("(neq,instantiationState,NOT_INSTANTIATED)", {"edge-2"}),
            ("(eq,instantiatedVnfInfo/vnfState,STARTED)", {"edge-2"}),
            ("(eq,vnfInstanceName,'core, ''main''')", {"core, 'main'"}),
            ("(eq,vnfInstanceName,nobody)", set[str]()),
            ("(eq,nosuchattribute,x)", set[str]()),
        ):
            assert names(await api.get(f"{INSTANCES}?filter={query}")) == expected, query

        listed = (await api.get(INSTANCES)).body
        assert all(set(entry) == MANDATORY | {"vnfInstanceName"} for entry in listed)
        everything = (await api.get(f"{INSTANCES}?all_fields")).body
        assert next(entry for entry in everything if entry["id"] == vnf_id)["instantiatedVnfInfo"]["vnfcResourceInfo"]
        some = (await api.get(f"{INSTANCES}?fields=metadata/place")).body
        assert all(set(entry) == MANDATORY | {"metadata"} for entry in some)
        assert all(set(entry["metadata"]) == {"place"} for entry in some)
        most = (await api.get(f"{INSTANCES}?exclude_fields=metadata")).body
        assert all("metadata" not in entry and "extensions" in entry for entry in most)

        for wrong in ("filter=(eq,id)", "filter=(like,id,x)", "filter=eq,id,x", "fields=a&all_fields",
                      "nextpage_opaque_marker=x"):  # fmt: skip
            (await api.get(f"{INSTANCES}?{wrong}")).problem(400)


async def test_vnf_lcm_op_occs(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        one, two = await api.create(), await api.create()
        for vnf_id in (one, two):
            await api.post(f"{INSTANCES}/{vnf_id}/instantiate", {"flavourId": "simple"})
            await lcm.until(vnf_id, "COMPLETED")
        await api.post(
            f"{INSTANCES}/{one}/terminate", {"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 60}
        )
        await lcm.at(one, "graceful-wait")
        await lcm.platform.positions.wait("lcm", "LCM", await lcm.platform.store.head("LCM"), timeout=60)

        async def found(query: str) -> set[tuple[str, str]]:
            answer = await api.get(f"{OP_OCCS}?filter={query}")
            return {(entry["vnfInstanceId"], entry["operation"]) for entry in answer.body}

        assert await found(f"(eq,vnfInstanceId,{one})") == {(one, "INSTANTIATE"), (one, "TERMINATE")}
        assert await found("(eq,operationState,PROCESSING)") == {(one, "TERMINATE")}
        assert await found("(gt,startTime,2020-01-01T00:00:00Z);(eq,operation,INSTANTIATE)") == {
            (one, "INSTANTIATE"), (two, "INSTANTIATE"),
        }  # fmt: skip
        listed = (await api.get(OP_OCCS)).body
        assert len(listed) == 3
        assert not {"operationParams", "resourceChanges"} & {name for entry in listed for name in entry}
        everything = (await api.get(f"{OP_OCCS}?all_fields")).body
        assert all("operationParams" in entry for entry in everything)


async def test_pages(config: BaseConfig) -> None:
    async with running(config) as lcm, client(lcm.url) as api:
        made = await asyncio.gather(*(api.create(metadata={"parity": "even" if n % 2 else "odd"}) for n in range(230)))
        entries, pages = await whole(api, INSTANCES)
        assert [entry["id"] for entry in entries] == sorted(made)
        assert pages == 3
        entries, pages = await whole(api, f"{INSTANCES}?filter=(eq,metadata/parity,odd)&fields=metadata")
        assert (len(entries), pages) == (115, 2)
        assert {entry["metadata"]["parity"] for entry in entries} == {"odd"}

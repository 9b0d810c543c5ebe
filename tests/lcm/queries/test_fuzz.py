"""Any filter whatever, over HTTP: an answer that is right or a 400, and nothing that was not asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from forestay_events.config import BaseConfig
from forestay_events.errors import Rejected
from forestay_sol.filters import OPERATORS, matches, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lcm.api.client import Client, client
from tests.lcm.engine.running import running
from tests.lcm.queries.population import PRODUCTS, PROVIDERS, STATES, VNFDS, Population
from tests.lcm.queries.questions import INSTANCES, OP_OCCS

Json = dict[str, Any]

#: Values near to those that there are, by attribute; and what does not belong anywhere.
NEAR: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    INSTANCES: {
        "id": ("0003e00a-a842-cd41-d888-a579e9afce7f",),
        "vnfInstanceName": ("edge", "core-ims", "edge-core-7", "-1", "2026-06-01T00:00:00Z"),
        "vnfdId": (*VNFDS[:3], VNFDS[0][:8]),
        "vnfProvider": (*PROVIDERS, "Forest", "(Sons)"),
        "vnfProductName": PRODUCTS[:5],
        "instantiationState": ("INSTANTIATED", "NOT_INSTANTIATED", "INST"),
        "metadata/site": ("site-1", "site-2", "site"),
        "metadata/@key": ("site", "place"),
        "instantiatedVnfInfo/scaleStatus/scaleLevel": ("0", "2", "2.0"),
        "instantiatedVnfInfo/vnfcResourceInfo/computeResource/resourceId": ("server-1", "server-9"),
        "vnfInstanceDescription": ("x",),
    },
    OP_OCCS: {
        "id": ("0003e00a-a842-cd41-d888-a579e9afce7f",),
        "operationState": (*STATES, "FAILED_", "STARTING"),
        "operation": ("INSTANTIATE", "HEAL", "SCALE", "E"),
        "vnfInstanceId": ("0003e00a-a842-cd41-d888-a579e9afce7f", "0", "8"),
        "startTime": ("2026-06-01T00:00:00Z", "2026-06-01T02:00:00.5+02:00", "2026-06", "2026-02-30T00:00:00Z"),
        "isAutomaticInvocation": ("true", "false", "0"),
        "operationParams/flavourId": ("simple", "large"),
        "grantId": ("grant-1",),
    },
}
NOWHERE = ("x", "a/b/c", "~1~a~b~0", "doc", "project", "1=1", "@key", "'", '"', "$", "ключ", "vnfProvider/x")
HOSTILE = ("x') OR ('1'='1", "'; DROP TABLE lcm.vnf; --", '" || true)', "$1", "}', ARRAY['x']) --")
STRANGE = (*HOSTILE, "", "'", "''", "%", "_", "\\", '"', "😀", "\n", "null", "5", "-0", "1e99", "(", ";")
SPECIAL = "()',;~@/\\%_\"$*?&=#+ \t\n"

strange = st.one_of(st.sampled_from(STRANGE), st.text(max_size=5), st.text(SPECIAL, max_size=4))


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@st.composite
def comparisons(draw: st.DrawFn, path: str) -> str:
    attribute = draw(st.sampled_from(sorted(NEAR[path])) | st.sampled_from(NOWHERE))
    near = st.sampled_from(NEAR[path].get(attribute, ("x",)))
    values = draw(st.lists(st.one_of(near, near, near, strange), min_size=1, max_size=4))
    operator = draw(st.sampled_from(sorted(OPERATORS)))
    several = operator in ("in", "nin", "cont", "ncont")
    return f"({operator},{attribute},{','.join(map(quoted, values if several else values[:1]))})"


@st.composite
def filters(draw: st.DrawFn) -> tuple[str, str]:
    """A list, and a filter that is nearly always well formed."""
    path = draw(st.sampled_from((INSTANCES, OP_OCCS)))
    text = ";".join(draw(st.lists(comparisons(path), min_size=1, max_size=3)))
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(strange) + text[at + draw(st.integers(0, 2)) :]
    return path, text


def drawn(count: int) -> list[tuple[str, str]]:
    """Draw filters, to be asked outside of hypothesis, which knows no event loop."""
    found: list[tuple[str, str]] = []

    @settings(max_examples=count, database=None, deadline=None)
    @given(filters())
    def draw(pair: tuple[str, str]) -> None:
        found.append(pair)

    draw()
    return found


async def ask(api: Client, path: str, text: str) -> list[str] | None:
    """The ids of what was found, over all pages; ``None``: the filter was refused."""
    ids: list[str] = []
    following = f"{path}?limit=40&filter={quote(text.encode(errors='surrogatepass'))}"
    while following:
        answer = await api.get(following)
        if answer.status != 200:
            assert "filter" in answer.problem(400)["detail"] or "%00" in following, text
            return None
        ids += [entry["id"] for entry in answer.body]
        link = re.fullmatch(r'<https?://[^/]+([^>]+)>;rel="next"', answer.headers.get("Link", ""))
        following = link[1] if link else ""
    return ids


def expected(documents: list[Json], text: str) -> list[str] | None:
    try:
        parsed = parse(text)
    except Rejected:
        return None
    return [document["id"] for document in documents if matches(parsed, document)]


@pytest.mark.timeout(240)
async def test_any_filter(config: BaseConfig) -> None:
    async with running(config) as lcm, client(lcm.url) as api:
        async with lcm.platform.pool.acquire() as connection:
            await Population(60, 120).fill(connection)
            documents = {
                path: [msgspec.json.decode(row["doc"]) for row in await connection.fetch(query)]
                for path, query in (
                    (INSTANCES, "SELECT doc FROM lcm.vnf ORDER BY id"),
                    (OP_OCCS, "SELECT doc FROM lcm.op_occ ORDER BY id"),
                )
            }
        outcomes = {"refused": 0, "none": 0, "some": 0, "all": 0}
        for path, text in drawn(1500):
            found, wanted = await ask(api, path, text), expected(documents[path], text)
            assert found == wanted, (path, text)
            kinds = {None: "refused", 0: "none", len(documents[path]): "all"}
            outcomes[kinds.get(found if found is None else len(found), "some")] += 1
        assert min(outcomes.values()) > 20, f"the drawn filters prove little: {outcomes}"
        assert len(await ask(api, INSTANCES, "(neq,id,x)") or ()) == 60

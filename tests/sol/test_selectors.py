"""Attribute selectors: what stays of an entry, and which selectors are none."""

from __future__ import annotations

from typing import Any

import pytest
from forestay_events.errors import Rejected
from forestay_sol.selectors import Attributes, parse
from forestay_sol.types import KeyValuePairs, Sol
from msgspec import field
from yarl import URL


class Thing(Sol, frozen=True, kw_only=True):
    id: str
    name: str = ""
    metadata: KeyValuePairs | None = None
    info: dict[str, Any] | None = None
    links: dict[str, Any] | None = field(name="_links", default=None)


ATTRIBUTES = Attributes.of(Thing, excluded={"metadata", "info"})
THING = {
    "id": "1",
    "name": "n",
    "metadata": {"a/b": 1, "c": 2},
    "info": {"state": "S", "vnfc": [{"id": "x", "vdu": "y"}, {"id": "z"}]},
    "_links": {"self": {"href": "/1"}},
}
BARE = {"id": "1", "_links": {"self": {"href": "/1"}}}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", BARE | {"name": "n"}),
        ("exclude_default", BARE | {"name": "n"}),
        ("all_fields", THING),
        ("filter=x&all_fields", THING),
        ("fields=name", BARE | {"name": "n"}),
        ("fields=metadata/a~1b", BARE | {"metadata": {"a/b": 1}}),
        ("fields=info/vnfc/id", BARE | {"info": {"vnfc": [{"id": "x"}, {"id": "z"}]}}),
        ("fields=info/state,info", BARE | {"info": THING["info"]}),
        ("fields=info,info/state", BARE | {"info": THING["info"]}),
        ("fields=name/deeper", BARE | {"name": "n"}),
        ("fields=metadata&exclude_default", BARE | {"name": "n", "metadata": THING["metadata"]}),
        ("exclude_fields=info,metadata/c", BARE | {"name": "n", "metadata": {"a/b": 1}}),
        (
            "exclude-fields=info/vnfc/vdu,metadata,name",
            BARE | {"info": {"state": "S", "vnfc": [{"id": "x"}, {"id": "z"}]}},
        ),
        ("exclude_fields=id,_links,name,metadata,info", BARE),
    ],
)
def test_what_stays(query: str, expected: dict[str, Any]) -> None:
    assert parse(URL("/?" + query).query, ATTRIBUTES).apply(THING) == expected


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("all_fields&fields=name", "all_fields and fields cannot be combined"),
        ("fields=name&exclude_fields=info", "cannot be combined"),
        ("all_fields&exclude_default", "cannot be combined"),
        ("exclude_fields=info&exclude_default", "cannot be combined"),
        ("fields=nmae", "fields names 'nmae', which is none of"),
        ("exclude_fields=nmae", "exclude_fields names 'nmae'"),
        ("fields=", "name is empty"),
        ("fields=info//x", "name is empty"),
        ("fields=info~9", "the escapes are"),
        ("fields=name&fields=info", "given more than once"),
        ("all_fields=1", "takes no value"),
    ],
)
def test_what_is_no_selector(query: str, why: str) -> None:
    with pytest.raises(Rejected) as raised:
        parse(URL("/?" + query).query, ATTRIBUTES)
    assert raised.value.status == 400
    assert why in raised.value.detail


def test_only_selectable_attributes_may_be_named() -> None:
    attributes = Attributes.of(Thing, excluded=(), selectable={"metadata", "info"})
    assert parse(URL("/?fields=info").query, attributes).apply(THING) == BARE | {"info": THING["info"]}
    with pytest.raises(Rejected, match="fields names 'name'"):
        parse(URL("/?fields=name").query, attributes)

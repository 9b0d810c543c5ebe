"""Request bodies: what is malformed, which member is at fault, what is expected there."""

from __future__ import annotations

import json
from contextlib import suppress
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from forestay_events.errors import Rejected
from forestay_sol.body import DEPTH, convert, parse
from forestay_sol.types import KeyValuePairs, Sol, VimConnectionInfo
from hypothesis import given
from hypothesis import strategies as st


class Colour(Enum):
    RED = "red"


class Small(Sol, frozen=True, kw_only=True, tag_field="kind", tag="small"):
    width: int


class Large(Sol, frozen=True, kw_only=True, tag_field="kind", tag="large"):
    width: int


class Request(Sol, frozen=True, kw_only=True):
    vnfd_id: Annotated[str, msgspec.Meta(max_length=5)]
    metadata: KeyValuePairs | None = None
    connections: dict[str, VimConnectionInfo] | None = None
    mode: Literal["GRACEFUL", "FORCEFUL"] | None = None
    colours: tuple[Colour, ...] = ()
    shape: Small | Large | None = None


@pytest.mark.parametrize(
    ("members", "pointer", "why"),
    [
        ({"vnfdId": None}, "/vnfdId", "expected string, got null"),
        ({"vnfdId": "too long"}, "/vnfdId", "expected string of length <= 5"),
        ({"metadata": 3}, "/metadata", "expected object or null, got integer"),
        ({"metadata": {"a": "x", "long": "x" * 1025}}, "/metadata/long", "string of length <= 1024"),
        ({"metadata": {"ok": 1, "§/~": 1}}, "/metadata/§~1~0", "the member's name: Expected string matching"),
        ({"connections": {"a": {"vimType": "t"}, "b/c": {}}}, "/connections/b~1c/vimType", "it is required"),
        ({"connections": {"a": {"vimType": 1}}}, "/connections/a/vimType", "expected string, got integer"),
        ({"mode": "SLOW"}, "/mode", "expected one of FORCEFUL, GRACEFUL"),
        ({"colours": ["red", "blue"]}, "/colours/1", "expected one of red"),
        ({"shape": {"kind": "huge"}}, "/shape/kind", "expected one of large, small"),
    ],
)
def test_the_member_at_fault_is_named(members: dict[str, Any], pointer: str, why: str) -> None:
    with pytest.raises(Rejected) as raised:
        convert({"vnfdId": "v", **members}, Request)
    assert (raised.value.status, raised.value.pointer) == (400, pointer)
    assert why in raised.value.detail
    assert pointer in raised.value.detail


def test_a_missing_member_and_a_wrong_body_are_named() -> None:
    with pytest.raises(Rejected, match="attribute /vnfdId: it is required"):
        convert({}, Request)
    with pytest.raises(Rejected, match="attribute body: expected object, got array") as raised:
        convert([], Request)
    assert raised.value.pointer == ""


@given(st.dictionaries(st.text("ab/~.[]", min_size=1), st.integers(), max_size=9), st.text("ab/~.[]", min_size=1))
def test_the_key_at_fault_is_found_among_any_others(others: dict[str, int], key: str) -> None:
    with pytest.raises(Rejected) as raised:
        convert({"numbers": [others | {key: "no number"}]}, dict[str, list[dict[str, int]]])
    assert raised.value.pointer == "/numbers/0/" + key.replace("~", "~0").replace("/", "~1")


def test_unknown_members_are_dropped() -> None:
    assert convert({"vnfdId": "v", "unheardOf": {"x": 1}}, Request) == Request(vnfd_id="v")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"a": }', "invalid character at byte 6"),
        (b'{"a": 1', "truncated"),
        (b'{"a": 1}}', "trailing characters at byte 9"),
        (b'{"a": NaN}', "at byte 6"),
        (b'{"a": 1e400}', "out of range"),
        (b'"\xff"', "UTF-8"),
        (b'["\\ud800"]', "Malformed request body"),
        (b"[" * 1_000_000, "nested more than"),
        (b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1), "nested more than"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested more than"),
    ],
)
def test_malformed_json_is_said_to_be(raw: bytes, why: str) -> None:
    with pytest.raises(Rejected) as raised:
        parse(raw)
    assert raised.value.status == 400
    assert why in raised.value.detail


def test_nesting_up_to_the_limit_is_accepted() -> None:
    assert parse(b"[" * DEPTH + b"]" * DEPTH)


def test_nul_is_refused_where_it_stands() -> None:
    with pytest.raises(Rejected) as raised:
        parse(json.dumps({"a": ["x", {"b": "y\0"}]}).encode())
    assert raised.value.pointer == "/a/1/b"
    with pytest.raises(Rejected) as raised:
        parse(json.dumps({"a": {"k\0": 1}}).encode())
    assert raised.value.pointer == "/a"
    assert parse(rb'"\\u0000"') == "\\u0000"


@given(st.binary(max_size=60))
def test_any_bytes_are_parsed_or_rejected(raw: bytes) -> None:
    with suppress(Rejected):
        assert parse(raw) == json.loads(raw)

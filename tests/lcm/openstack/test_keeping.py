"""Tokens are kept while they are good, and not more than so many."""

from __future__ import annotations

import time

import pytest
from forestay_lcm.adapters.openstack.clients import keeping
from forestay_lcm.adapters.openstack.clients.keeping import Kept


def test_what_is_no_longer_good_is_forgotten_when_another_comes() -> None:
    kept, now = Kept[str, int](), time.monotonic()
    kept.put("short", 1, now - 1)
    kept.put("long", 2, now + 600)
    assert (kept.get("short"), kept.get("long"), len(kept)) == (None, 2, 1)


def test_those_that_came_first_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MOST", 3)
    kept, until = Kept[str, int](), time.monotonic() + 600
    for value, key in enumerate("abcad"):
        kept.put(key, value, until)
    assert {key: kept.get(key) for key in "abcd"} == {"a": 3, "b": None, "c": 2, "d": 4}

"""The inverted index finds exactly what looking at every filter would, and finds it fast."""

from __future__ import annotations

import random
import statistics
import time

import pytest
from forestay_notify.filter_index import FilterIndex
from hypothesis import given
from hypothesis import strategies as st

ATTRIBUTES = ("instance", "vnfd", "type", "state")
VALUES = ("a", "b", "c")

filters = st.dictionaries(st.sampled_from(ATTRIBUTES), st.frozensets(st.sampled_from(VALUES), min_size=1))
facts = st.dictionaries(st.sampled_from(ATTRIBUTES), st.frozensets(st.sampled_from(VALUES)))
changes = st.lists(st.tuples(st.sampled_from("uvwxyz"), filters | st.none()), max_size=30)


def naive(wanted: dict[str, frozenset[str]], event: dict[str, frozenset[str]]) -> bool:
    return all(bool(values & event[name]) for name, values in wanted.items() if name in event)


@given(changes, st.lists(facts, min_size=1, max_size=5))
def test_same_as_looking_at_each(
    happened: list[tuple[str, dict[str, frozenset[str]] | None]], events: list[dict[str, frozenset[str]]]
) -> None:
    """``None`` takes a subscription out; a second filter replaces the first."""
    index, subscriptions = FilterIndex(), dict[str, dict[str, frozenset[str]]]()
    for id_, wanted in happened:
        if wanted is None:
            index.remove(id_)
            subscriptions.pop(id_, None)
        else:
            index.put(id_, wanted)
            subscriptions[id_] = wanted
        for event in events:
            assert sorted(index.match(event)) == sorted(
                i for i, wanted in subscriptions.items() if naive(wanted, event)
            )
    assert len(index) == len(subscriptions)


def populations() -> dict[str, FilterIndex]:
    """10,000 subscriptions: each with its own instances, all with the same, without any filter, and a mixture."""
    made = {name: FilterIndex() for name in ("own", "same", "everything", "mixed")}
    chance = random.Random(4)
    for number in range(10_000):
        id_ = f"subscription-{number}"
        made["own"].put(id_, {"instance": [f"i-{number}", f"i-{number + 1}"], "state": ["a", "b"]})
        made["same"].put(id_, {"vnfd": ["v-1", "v-2"], "type": ["t"], "state": ["b"]})
        made["everything"].put(id_, {})
        made["mixed"].put(
            id_,
            {
                name: chance.sample([f"{name[0]}-{n}" for n in range(20)], 3)
                for name in ("vnfd", "type", "state", "instance")
                if chance.random() < 0.5
            },
        )
    return made


@pytest.mark.perf
def test_ten_thousand_subscriptions() -> None:
    event = {"instance": ["i-7"], "vnfd": ["v-1"], "type": ["t", "t-3"], "state": ["a", "s-5"]}
    for name, index in populations().items():
        times, found = list[float](), list[str]()
        for _ in range(50):
            began = time.perf_counter()
            found = index.match(event)
            times.append((time.perf_counter() - began) * 1000)
        print(f"{name}: {len(found)} match, p50 {statistics.median(times):.3f} ms, max {max(times):.3f} ms")  # noqa: T201
        assert statistics.median(times) < 5

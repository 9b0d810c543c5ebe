"""Which of many subscriptions want to know of an event: an inverted index of their filters.

A filter says for some attributes which values it wants: attributes are ANDed, the values of one are ORed. An event has, for
every attribute that applies to it, the values that it has. For each value the index keeps the set of subscriptions that want
it, as the bits of one integer, so an event costs a few operations on integers of one bit per subscription, however the filters
are distributed, and nobody's filter is looked at one by one. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

Wanted = Mapping[str, Iterable[str]]
"""What a filter wants: values by attribute. An attribute that is missing is wanted whatever it is."""
Facts = Mapping[str, Iterable[str]]
"""What an event is: values by attribute. What is wanted of an attribute that is missing here does not apply to the event."""

#: Bits from ``shift`` on: a value that few neighbours want costs next to nothing, however many subscriptions there are.
_Bits = tuple[int, int]


class FilterIndex:
    """An index of filters, by the id of their subscription."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[str, frozenset[str]]] = {}
        self._places: dict[str, int] = {}
        self._ids: list[str] = []
        self._free: list[int] = []
        self._everybody = 0
        self._choosy: defaultdict[str, int] = defaultdict(int)
        self._wanting: dict[tuple[str, str], _Bits] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def put(self, id_: str, wanted: Wanted) -> None:
        """Add a subscription, or replace what it wants."""
        self.remove(id_)
        if self._free:
            place = self._free.pop()
            self._ids[place] = id_
        else:
            place = len(self._ids)
            self._ids.append(id_)
        self._places[id_] = place
        self._wanted[id_] = plain = {attribute: frozenset(values) for attribute, values in wanted.items()}
        self._everybody |= 1 << place
        for attribute, values in plain.items():
            self._choosy[attribute] |= 1 << place
            for value in values:
                self._wanting[attribute, value] = _with(self._wanting.get((attribute, value)), place)

    def remove(self, id_: str) -> None:
        """Take a subscription out; nothing happens if there is none of that id."""
        if id_ not in self._places:
            return
        place = self._places.pop(id_)
        self._everybody &= ~(1 << place)
        for attribute, values in self._wanted.pop(id_).items():
            self._choosy[attribute] &= ~(1 << place)
            for value in values:
                shift, bits = self._wanting.pop((attribute, value))
                if bits := bits & ~(1 << place - shift):
                    self._wanting[attribute, value] = (shift, bits)
        self._free.append(place)

    def match(self, facts: Facts) -> list[str]:
        """The ids of the subscriptions whose filter matches an event."""
        matching = self._everybody
        for attribute, values in facts.items():
            choosy = self._choosy.get(attribute, 0)
            if not choosy:
                continue
            content = 0
            for value in values:
                shift, bits = self._wanting.get((attribute, value), (0, 0))
                content |= bits << shift
            matching &= ~choosy | content
        digits = bin(matching)[:1:-1]
        found: list[str] = []
        place = digits.find("1")
        while place >= 0:
            found.append(self._ids[place])
            place = digits.find("1", place + 1)
        return found


def _with(bits: _Bits | None, place: int) -> _Bits:
    if bits is None:
        return place, 1
    shift = min(bits[0], place)
    return shift, bits[1] << bits[0] - shift | 1 << place - shift

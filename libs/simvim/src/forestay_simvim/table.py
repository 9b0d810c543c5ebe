"""Rows by id, with hash indexes: what the simulated services keep instead of a database.

Rows are plain dictionaries in the shape that the API shows. Change an indexed field through :meth:`Table.change` only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]


class Table:
    """One kind of object. ``find`` and ``count`` never scan when one of their fields is indexed."""

    def __init__(self, *indexed: str) -> None:
        self._rows: dict[str, Row] = {}
        self._indexes: dict[str, dict[Any, dict[str, Row]]] = {field: {} for field in indexed}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self._rows.values()))

    def add(self, row: Row) -> Row:
        """Insert *row* under its ``id``."""
        self._rows[row["id"]] = row
        for field in self._indexes:
            self._link(field, row)
        return row

    def get(self, key: str) -> Row | None:
        """The row with this id."""
        return self._rows.get(key)

    def change(self, row: Row, **values: Any) -> Row:
        """Set fields of *row*, keeping the indexes right."""
        for field in self._indexes.keys() & values.keys():
            self._unlink(field, row)
        row.update(values)
        for field in self._indexes.keys() & values.keys():
            self._link(field, row)
        return row

    def remove(self, key: str) -> Row | None:
        """Take the row out; ``None`` when there is none."""
        row = self._rows.pop(key, None)
        if row is not None:
            for field in self._indexes:
                self._unlink(field, row)
        return row

    def find(self, **equal: Any) -> list[Row]:
        """The rows whose fields have these values, in the order of their creation."""
        usable = [self._indexes[field].get(value, {}) for field, value in equal.items() if field in self._indexes]
        source = min(usable, key=len) if usable else self._rows
        return [row for row in source.values() if all(row.get(field) == value for field, value in equal.items())]

    def count(self, field: str, value: Any) -> int:
        """How many rows have *value* in the indexed *field*."""
        return len(self._indexes[field].get(value, ()))

    def _link(self, field: str, row: Row) -> None:
        self._indexes[field].setdefault(row.get(field), {})[row["id"]] = row

    def _unlink(self, field: str, row: Row) -> None:
        value = row.get(field)
        bucket = self._indexes[field].get(value)
        if bucket is not None:
            bucket.pop(row["id"], None)
            if not bucket:
                del self._indexes[field][value]

"""Attribute selectors (SOL013 5.3): which attributes of the entries of a list are answered.

Rules: ``_links`` and mandatory attributes always stay; paths go into objects and into each element of arrays; an attribute
that the resource does not have is 400. ``exclude-fields`` may be written for ``exclude_fields``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import msgspec
from forestay_events.errors import Rejected
from multidict import MultiMapping

from forestay_sol.filters import split_path

Path = tuple[str, ...]
Tree = dict[str, "Tree | None"]

_FLAGS = frozenset({"all_fields", "exclude_default"})
_LISTS = frozenset({"fields", "exclude_fields"})
_LINKS = "_links"


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """The top-level attributes of a resource.

    :param names: all of them.
    :param mandatory: those that no selector removes.
    :param excluded: those that ``exclude_default``, or no selector at all, removes; except ``kept``, parts of them.
    :param selectable: those that may be named in a selector; ``None`` means all.
    """

    names: frozenset[str]
    mandatory: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    kept: tuple[Path, ...] = ()
    selectable: frozenset[str] | None = None

    @classmethod
    def of(
        cls,
        type_: type[msgspec.Struct],
        *,
        excluded: Iterable[str],
        kept: Iterable[Path] = (),
        selectable: Iterable[str] | None = None,
    ) -> Attributes:
        """Take names and mandatory attributes (those without a default) from the resource's type."""
        fields = msgspec.structs.fields(type_)
        return cls(
            names=frozenset(field.encode_name for field in fields),
            mandatory=frozenset(field.encode_name for field in fields if field.required),
            excluded=frozenset(excluded),
            kept=tuple(kept),
            selectable=None if selectable is None else frozenset(selectable),
        )


class Selector(msgspec.Struct, frozen=True, kw_only=True):
    """What stays (``keep``; ``None`` means everything) and what goes (``drop``)."""

    keep: tuple[Path, ...] | None = None
    drop: tuple[Path, ...] = ()

    def apply(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Give a copy of a JSON object with the selected attributes."""
        if self.keep is not None:
            return _keep(document, _tree(self.keep))
        return _drop(document, _tree(self.drop))


def parse(query: MultiMapping[str], attributes: Attributes) -> Selector:
    """Read the selector of a query; ``Rejected(400)`` for an illegal combination or an unknown attribute."""
    named = [(_spelling(name), value) for name, value in query.items() if _spelling(name) in _FLAGS | _LISTS]
    given = dict(named)
    if len(given) < len(named):
        raise _invalid("a parameter is given more than once")
    make = _COMBINATIONS.get(frozenset(given))
    if make is None:
        raise _invalid(f"{' and '.join(sorted(given))} cannot be combined")
    for name in _FLAGS & given.keys():
        if given[name]:
            raise _invalid(f"{name} takes no value")
    paths = {name: _paths(name, given[name], attributes) for name in _LISTS & given.keys()}
    return make(attributes, paths.get("fields", ()), paths.get("exclude_fields", ()))


def _spelling(name: str) -> str:
    return "exclude_fields" if name == "exclude-fields" else name


def _invalid(why: str) -> Rejected:
    return Rejected(400, f"Attribute selector expression is invalid: {why}.")


def _paths(parameter: str, text: str, attributes: Attributes) -> tuple[Path, ...]:
    allowed = attributes.names if attributes.selectable is None else attributes.selectable
    try:
        paths = tuple(split_path(item) for item in text.split(","))
    except ValueError as error:
        raise _invalid(f"{parameter}: {error}") from None
    for path in paths:
        if path[0] not in allowed | {_LINKS}:
            raise _invalid(f"{parameter} names {path[0]!r}, which is none of {', '.join(sorted(allowed))}")
    return paths


def _everything(attributes: Attributes, fields: tuple[Path, ...], excluded: tuple[Path, ...]) -> Selector:
    return Selector()


def _only(attributes: Attributes, fields: tuple[Path, ...], excluded: tuple[Path, ...]) -> Selector:
    return Selector(keep=(*_tops(attributes.mandatory | {_LINKS}), *fields))


def _without(attributes: Attributes, fields: tuple[Path, ...], excluded: tuple[Path, ...]) -> Selector:
    return Selector(drop=tuple(path for path in excluded if path[0] not in attributes.mandatory | {_LINKS}))


def _default(attributes: Attributes, fields: tuple[Path, ...], excluded: tuple[Path, ...]) -> Selector:
    return Selector(keep=(*_tops((attributes.names | {_LINKS}) - attributes.excluded), *attributes.kept, *fields))


_COMBINATIONS: Mapping[frozenset[str], Callable[[Attributes, tuple[Path, ...], tuple[Path, ...]], Selector]] = {
    frozenset(): _default,
    frozenset({"all_fields"}): _everything,
    frozenset({"fields"}): _only,
    frozenset({"fields", "exclude_default"}): _default,
    frozenset({"exclude_fields"}): _without,
    frozenset({"exclude_default"}): _default,
}


def _tops(names: Iterable[str]) -> tuple[Path, ...]:
    return tuple((name,) for name in sorted(names))


def _tree(paths: Iterable[Path]) -> Tree:
    """Join paths; ``None`` stands for "all of it", which a longer path below does not narrow."""
    tree: Tree = {}
    for *above, last in paths:
        branch: Tree | None = tree
        for name in above:
            branch = branch.setdefault(name, {})
            if branch is None:
                break
        else:
            branch[last] = None
    return tree


def _keep(value: Any, tree: Tree | None) -> Any:
    if isinstance(value, list):
        return [_keep(item, tree) for item in cast("list[Any]", value)]
    if tree is None or not isinstance(value, Mapping):
        return value
    members = cast("Mapping[str, Any]", value)
    return {name: _keep(member, tree[name]) for name, member in members.items() if name in tree}


def _drop(value: Any, tree: Tree) -> Any:
    if isinstance(value, list):
        return [_drop(item, tree) for item in cast("list[Any]", value)]
    if not isinstance(value, Mapping):
        return value
    members = cast("Mapping[str, Any]", value)
    branches = {name: tree.get(name, {}) for name in members}
    return {
        name: _drop(member, branch) if branch else member
        for name, member in members.items()
        if (branch := branches[name]) is not None
    }

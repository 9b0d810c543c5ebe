"""YAML of a package: guarded against bombs, and walked with the place of each value at hand.

Rules of this module:

* A text is measured event by event, with every alias counted as what it stands for, before anything is constructed.
* Only the safe loader's types exist. Missing and empty are the same: SOL001 files write ``requirements:``.
* A value of another type than asked for is a ``PackageInvalid`` that names the file and the path inside it.
"""

from __future__ import annotations

import datetime
import re
from typing import Any, cast

import yaml

from forestay_csar.archive import Archive, Limits
from forestay_csar.problem import PackageInvalid

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER_LENGTH = 256
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?b)?\s*", re.IGNORECASE)
_UNITS = {f"{prefix}{i}b": (1024 if i else 1000) ** at for at, prefix in enumerate("kmgt", 1) for i in ("", "i")} | {
    "b": 1
}


class Tree:
    """A value of a YAML document that knows where it stands; ``value`` is ``None`` where the document has nothing."""

    __slots__ = ("file", "path", "value")

    def __init__(self, value: Any, file: str, path: tuple[str, ...] = ()) -> None:
        self.value = value
        self.file = file
        self.path = path

    def __bool__(self) -> bool:
        return bool(self.value)

    def at(self, *keys: str) -> Tree:
        """The value under nested keys, empty when one is missing. :raises PackageInvalid: no mapping on the way."""
        tree = self
        for key in keys:
            tree = tree.mapping().get(key, Tree(None, self.file, (*tree.path, key)))
        return tree

    def mapping(self) -> dict[str, Tree]:
        """:raises PackageInvalid: the value is not a mapping."""
        if not self.value:
            return {}
        if not isinstance(self.value, dict):
            raise self.wrong("a mapping")
        items = cast("dict[Any, Any]", self.value).items()
        return {str(key): Tree(value, self.file, (*self.path, str(key))) for key, value in items}

    def elements(self) -> list[Tree]:
        """:raises PackageInvalid: the value is not a list."""
        if not self.value:
            return []
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return [Tree(each, self.file, (*self.path, str(at))) for at, each in enumerate(cast("list[Any]", self.value))]

    def named(self) -> list[tuple[str, Tree]]:
        """The items of a mapping, or of a list of mappings, as TOSCA writes policies, groups and requirements."""
        parts = self.elements() if isinstance(self.value, list) else [self]
        return [item for part in parts for item in part.mapping().items()]

    def text(self, default: str | None = None) -> str:
        """A scalar as text, numbers and dates too. :raises PackageInvalid: missing, or no scalar."""
        value = default if self.value is None else self.value
        if not isinstance(value, (str, int, float, datetime.date)):
            raise self.wrong("a text")
        return str(value)

    def optional_text(self) -> str | None:
        """As ``text``, ``None`` when it is missing."""
        return None if self.value is None else self.text()

    def texts(self) -> tuple[str, ...]:
        """A list of scalars. :raises PackageInvalid: something else."""
        return tuple(each.text() for each in self.elements())

    def number(self, default: int | None = None) -> int:
        """A whole number from 0 on. :raises PackageInvalid: missing, or something else."""
        value = default if self.value is None else self.value
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.wrong("a whole number from 0 on")
        return value

    def size(self) -> int:
        """A TOSCA ``scalar-unit.size`` in bytes, 0 when it is missing. :raises PackageInvalid: something else."""
        match = _SIZE.fullmatch(self.text("0"))
        if not match:
            raise self.wrong("a size such as '2 GiB'")
        return int(float(match[1]) * _UNITS[(match[2] or "b").lower()])

    def wrong(self, expected: str, rule: str = "yaml-type") -> PackageInvalid:
        """The error that ``expected`` is not here."""
        place = "/".join(self.path) or "the document"
        found = "nothing" if self.value is None else f"{str(self.value)[:60]!r}"
        return PackageInvalid(rule, f"{self.file}: {place} has to be {expected}, but is {found}.", file=self.file)


class Documents:
    """Reads the YAML members of one package within the limits for each and for all of them together."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._budget = archive.limits.texts

    def text(self, name: str) -> str:
        """A YAML member that holds a mapping, as text. :raises PackageInvalid: see ``load``."""
        return self._read(name)[0]

    def load(self, name: str) -> Tree:
        """A YAML member. :raises PackageInvalid: too large, a YAML bomb, bad syntax, or not a mapping."""
        return self._read(name)[1]

    def _read(self, name: str) -> tuple[str, Tree]:
        self._budget -= self._archive.size(name)
        if self._budget < 0:
            limit = self._archive.limits.texts
            raise PackageInvalid(
                "text-total-size", f"The package's YAML files have more than {limit} bytes.", file=name
            )
        text = self._archive.text(name)
        tree = Tree(_constructed(text, name, self._archive.limits), name)
        tree.mapping()
        return text, tree


def _constructed(text: str, name: str, limits: Limits) -> Any:
    try:
        _measure(text, name, limits)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        detail = f"{name} is not valid YAML: {error.problem or error.context} (line {line})."
        raise PackageInvalid("yaml-syntax", detail, file=name, line=line) from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise PackageInvalid("yaml-syntax", f"{name} is not valid YAML: {error}.", file=name) from error


def _measure(text: str, name: str, limits: Limits) -> None:
    """Refuse a document that would grow beyond the limits; ``sizes`` holds the nodes below each closed anchor."""
    open_nodes: list[tuple[str | None, int]] = []
    sizes: dict[str, int] = {}
    nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                detail = f"{name}: alias *{event.anchor} stands inside its own anchor or before it (line {line})."
                raise PackageInvalid("yaml-alias", detail, file=name, line=line)
            nodes += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            nodes += 1
            if event.anchor:
                sizes[event.anchor] = 1
            if "\0" in event.value:
                detail = f"{name} holds the character U+0000 (line {line}). Remove it."
                raise PackageInvalid("text-nul", detail, file=name, line=line)
            if len(event.value) > _NUMBER_LENGTH and event.implicit[0] and event.value[0] in "+-.0123456789":
                detail = f"{name}: a number of {len(event.value)} digits (line {line}). Quote it if it is a text."
                raise PackageInvalid("yaml-number", detail, file=name, line=line)
        elif isinstance(event, yaml.CollectionStartEvent):
            nodes += 1
            open_nodes.append((event.anchor, nodes))
            sizes.pop(event.anchor or "", None)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = nodes - before + 1
        if nodes > limits.yaml_nodes or len(open_nodes) > limits.yaml_depth:
            detail = (
                f"{name} has more than {limits.yaml_nodes} values (an alias counts as what it stands for) or nests "
                f"deeper than {limits.yaml_depth} (line {line}): it looks like a YAML bomb."
            )
            raise PackageInvalid("yaml-bomb", detail, file=name, line=line)

"""YAML of a package: guarded against bombs, and walked with the place of each value at hand.

Rules of this module:

* A text is measured event by event, with every alias counted as what it stands for, before anything is constructed.
* Only the safe loader's types exist. Missing and empty are the same: SOL001 files write ``requirements:``.
* A value of another type than asked for is a ``PackageInvalid`` that names the file and the path inside it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any, cast

import yaml

from forestay_csar.archive import Archive, Limits
from forestay_csar.findings import Finding, PackageInvalid, finding

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER_LENGTH = 256
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?b)?\s*", re.IGNORECASE)
_UNITS = {f"{prefix}{i}b": (1024 if i else 1000) ** at for at, prefix in enumerate("kmgt", 1) for i in ("", "i")} | {
    "b": 1
}


Lines = Callable[[tuple[str, ...]], int | None]


class Tree:
    """A value of a YAML document that knows where it stands; ``value`` is ``None`` where the document has nothing."""

    __slots__ = ("_lines", "file", "path", "value")

    def __init__(self, value: Any, file: str, path: tuple[str, ...] = (), lines: Lines | None = None) -> None:
        self.value = value
        self.file = file
        self.path = path
        self._lines = lines

    def __bool__(self) -> bool:
        return bool(self.value)

    def at(self, *keys: str) -> Tree:
        """The value under nested keys, empty when one is missing. :raises PackageInvalid: no mapping on the way."""
        tree = self
        for key in keys:
            below = tree.mapping()
            tree = below[key] if key in below else tree._at(None, key)
        return tree

    def _at(self, value: Any, *keys: str) -> Tree:
        return Tree(value, self.file, (*self.path, *keys), self._lines)

    def replaced(self, value: Any) -> Tree:
        """Another value at the same place."""
        return self._at(value)

    @property
    def line(self) -> int | None:
        """The line of the value, or of what is nearest around it; the first is 1."""
        return self._lines(self.path) if self._lines else None

    def mapping(self) -> dict[str, Tree]:
        """:raises PackageInvalid: the value is not a mapping."""
        if not self.value:
            return {}
        if not isinstance(self.value, dict):
            raise self.wrong("a mapping")
        items = cast("dict[Any, Any]", self.value).items()
        return {str(key): self._at(value, str(key)) for key, value in items}

    def elements(self) -> list[Tree]:
        """:raises PackageInvalid: the value is not a list."""
        if not self.value:
            return []
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return [self._at(each, str(at)) for at, each in enumerate(cast("list[Any]", self.value))]

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

    def finding(self, rule: str, message: str) -> Finding:
        """A breach of a rule at this place."""
        return finding(rule, message, file=self.file, line=self.line)

    def wrong(self, expected: str, rule: str = "yaml-type") -> PackageInvalid:
        """The error that ``expected`` is not here."""
        place = "/".join(self.path) or "the document"
        found = "nothing" if self.value is None else f"{str(self.value)[:60]!r}"
        message = f"{self.file}: {place} has to be {expected}, but is {found}."
        return PackageInvalid(rule, message, file=self.file, line=self.line)


class Documents:
    """Reads the YAML members of one package within the limits for each and for all of them together."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._budget = archive.limits.texts
        self._nodes = archive.limits.yaml_nodes
        self._read: dict[str, tuple[str, Tree]] = {}

    def text(self, name: str) -> str:
        """A YAML member that holds a mapping, as text. :raises PackageInvalid: see ``load``."""
        return self._once(name)[0]

    def load(self, name: str) -> Tree:
        """A YAML member. :raises PackageInvalid: too large, a YAML bomb, bad syntax, or not a mapping."""
        return self._once(name)[1]

    def _once(self, name: str) -> tuple[str, Tree]:
        if name not in self._read:
            self._budget -= self._archive.size(name)
            if self._budget < 0:
                message = f"The package's YAML files have more than {self._archive.limits.texts} bytes."
                raise PackageInvalid("text-total-size", message, file=name)
            text = self._archive.text(name)
            value, self._nodes = _constructed(text, name, self._archive.limits, self._nodes)
            tree = Tree(value, name, lines=_Lines(text))
            tree.mapping()
            self._read[name] = (text, tree)
        return self._read[name]


class _Lines:
    """The lines of a YAML text by path, for findings; the text is parsed again when the first is asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._root: Any = None
        self._children: dict[int, dict[str, tuple[int, Any]]] = {}

    def __call__(self, path: tuple[str, ...]) -> int | None:
        """The line of the value under a path, or of the last one on the way to it."""
        self._root = self._root or yaml.compose(self._text, Loader=_Loader)
        line, node = None, self._root
        for key in path:
            if key not in (children := self._of(node)):
                break
            line, node = children[key]
        return line

    def _of(self, node: Any) -> dict[str, tuple[int, Any]]:
        if id(node) not in self._children:
            found: dict[str, tuple[int, Any]] = {}
            if isinstance(node, yaml.MappingNode):
                found = {str(key.value): (key.start_mark.line + 1, value) for key, value in node.value}
            elif isinstance(node, yaml.SequenceNode):
                found = {str(at): (value.start_mark.line + 1, value) for at, value in enumerate(node.value)}
            self._children[id(node)] = found
        return self._children[id(node)]


def _constructed(text: str, name: str, limits: Limits, budget: int) -> tuple[Any, int]:
    """The value of a text, and how many values the other texts of the package may have."""
    try:
        left = budget - measure(text, name, limits, budget)
        return yaml.load(text, Loader=_Loader), left  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        detail = f"{name} is not valid YAML: {error.problem or error.context} (line {line})."
        raise PackageInvalid("yaml-syntax", detail, file=name, line=line) from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise PackageInvalid("yaml-syntax", f"{name} is not valid YAML: {error}.", file=name) from error


def measure(text: str, name: str, limits: Limits, budget: int) -> int:
    """The values of a YAML text that stays within the limits.

    :param budget: how many it may have.
    :raises PackageInvalid: it does not.
    :raises yaml.YAMLError: it is not YAML.
    """
    # ``sizes`` holds the nodes below each closed anchor.
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
                detail = f"{name} holds the character U+0000 (line {line})."
                raise PackageInvalid("text-nul", detail, file=name, line=line)
            if len(event.value) > _NUMBER_LENGTH and event.implicit[0] and event.value[0] in "+-.0123456789":
                detail = f"{name}: a number of {len(event.value)} digits (line {line})."
                raise PackageInvalid("yaml-number", detail, file=name, line=line)
        elif isinstance(event, yaml.CollectionStartEvent):
            nodes += 1
            open_nodes.append((event.anchor, nodes))
            sizes.pop(event.anchor or "", None)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = nodes - before + 1
        if nodes > budget or len(open_nodes) > limits.yaml_depth:
            detail = (
                f"{name}: the package's YAML has more than {limits.yaml_nodes} values (an alias counts as what it stands "
                f"for) or nests deeper than {limits.yaml_depth} (line {line}), as YAML bombs have."
            )
            raise PackageInvalid("yaml-bomb", detail, file=name, line=line)
    return nodes

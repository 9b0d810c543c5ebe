"""What is found in a package: the rule, the place, what is wrong there and what to do; and the refusal made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, Self

import msgspec
from forestay_events.errors import Rejected

from forestay_csar.rules import RULES, Severity

MOST_KEPT = 50
"""Findings that travel in an event: a hostile package can have any number."""
MOST_OF_A_RULE = 20
_LONGEST = 1000


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One breach of a rule.

    :ivar file: the member of the package, with ``line`` (from 1) where it is known.
    :ivar message: what is wrong; ``remedy``: what the author can do.
    """

    rule: str
    severity: Severity
    message: str
    remedy: str
    file: str | None = None
    line: int | None = None


def finding(rule: str, message: str, *, file: str | None = None, line: int | None = None) -> Finding:
    """A finding with what the table says of its rule. :raises KeyError: the table has no such rule."""
    known = RULES[rule]
    shown = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}..."
    return Finding(
        rule=rule, severity=known.severity, message=shown, remedy=known.remedy, file=file, line=line
    )  # fmt: skip


class PackageInvalid(Rejected):
    """A VNF package that cannot be onboarded; its ProblemDetails carry ``rule``, ``file`` and ``line`` of the first error.

    :param rule: the broken rule of :data:`RULES`.
    :param message: which member breaks it, and the limit or the expectation; the rule's remedy is added.
    :param file: the member of the package at fault.
    :param line: its line, from 1.
    """

    def __init__(self, rule: str, message: str, *, file: str | None = None, line: int | None = None) -> None:
        self._tell(finding(rule, message, file=file, line=line), ())

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Self:
        """The refusal for findings with at least one error; all errors are in the member ``findings``."""
        errors = [each for each in findings if each.severity == "error"][:MOST_KEPT]
        refusal = cls(errors[0].rule, errors[0].message)
        refusal._tell(errors[0], errors)
        return refusal

    def _tell(self, first: Finding, errors: Iterable[Finding]) -> None:
        where = {"file": first.file, "line": first.line}
        extra: dict[str, Any] = {"rule": first.rule, **{k: v for k, v in where.items() if v is not None}}
        if listed := msgspec.to_builtins(tuple(errors)):
            extra["findings"] = listed
        super().__init__(400, f"{first.message} {first.remedy}", title="Invalid VNF package", extra=extra)
        self.finding = first
        self.rule, self.file, self.line = first.rule, first.file, first.line


class Findings(list[Finding]):
    """Findings of one package as they come, at most ``MOST_OF_A_RULE`` of each rule: no error is lost in a flood.

    ``catching`` turns a refusal into a finding, so that the reading goes on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._count: Counter[str] = Counter()

    def add(self, found: Finding) -> None:
        """Keep a finding, unless there are enough of its kind."""
        self._count[found.rule] += 1
        if self._count[found.rule] <= MOST_OF_A_RULE:
            self.append(found)

    def take(self, found: Iterable[Finding]) -> None:
        """Keep findings as they come."""
        for each in found:
            self.add(each)

    @contextmanager
    def catching(self) -> Generator[None]:
        try:
            yield
        except PackageInvalid as error:
            self.add(error.finding)

    @property
    def has_error(self) -> bool:
        return any(each.severity == "error" for each in self)

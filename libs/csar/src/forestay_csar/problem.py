"""What a refused package is told: a rule by name, the file at fault, and a sentence that says what to change."""

from __future__ import annotations

from forestay_events.errors import Rejected


class PackageInvalid(Rejected):
    """A VNF package that cannot be onboarded.

    :param rule: stable name of the broken rule, such as ``manifest-hash``.
    :param detail: which member breaks it, the limit or the expectation, and the remedy.
    :param file: the member of the package at fault.
    :param line: its line, from 1.
    """

    def __init__(self, rule: str, detail: str, *, file: str | None = None, line: int | None = None) -> None:
        where = {"file": file, "line": line}
        extra = {"rule": rule, **{name: value for name, value in where.items() if value is not None}}
        super().__init__(400, detail, title="Invalid VNF package", extra=extra)
        self.rule = rule
        self.file = file
        self.line = line

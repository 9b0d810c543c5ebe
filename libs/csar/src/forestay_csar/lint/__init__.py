"""What can be known of a package before its first operation, and is no breach of form: five families of rules.

Rules of this package: a rule is a generator from a :class:`Subject` to findings; it reads, and runs nothing. What was read
without an error is given: a rule can rely on every reference being resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forestay_csar.findings import Finding, Findings
from forestay_csar.lint.manifests import check_manifest
from forestay_csar.lint.scripts import check_scripts
from forestay_csar.lint.subject import Subject
from forestay_csar.lint.templates import check_templates
from forestay_csar.lint.topology import check_topology, check_types
from forestay_csar.lint.unbuilt import check_unbuilt

__all__ = ["Subject", "check_types", "lint"]

_CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    check_manifest,
    check_topology,
    check_templates,
    check_unbuilt,
    check_scripts,
)


def lint(subject: Subject, findings: Findings) -> None:
    """Add all findings, family by family; where a file cannot be read, that is the finding."""
    for check in _CHECKS:
        with findings.catching():
            findings.take(check(subject))

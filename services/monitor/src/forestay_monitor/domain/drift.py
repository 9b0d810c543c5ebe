"""What is wrong with a VNF whose VIM differs from the log. Tables, and how findings become alarms.

There is one alarm for all that a comparison has found wrong with a VNF instance for the same probable cause. Whoever is woken by
it gets one message about a VNF that has lost five hundred servers, with the VNFCs that it is about, and not five hundred;
what is lost an hour later is an alarm of its own. It stands until the last of its findings has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from forestay_events.commit import Commit
from forestay_sol.resource_types import IMAGE, NET, PORT, SERVER, STACK, VOLUME
from forestay_sol.streams.alarm import AlarmRaised, FaultyResource, FaultyResourceType, PerceivedSeverity
from forestay_sol.streams.drift import DriftFound, Finding, Healing, Kind

from forestay_monitor.domain.faults import place

#: How grave a difference is, by its kind and the type of the resource, and where it is not said there by its kind.
SEVERITIES: Mapping[tuple[Kind, str], PerceivedSeverity] = {
    ("MISSING", STACK): "CRITICAL",
    ("MISSING", SERVER): "CRITICAL",
    ("MISSING", VOLUME): "CRITICAL",
    ("MISSING", NET): "CRITICAL",
    ("CHANGED", STACK): "MAJOR",
    ("CHANGED", SERVER): "MAJOR",
}
OTHER_SEVERITIES: Mapping[Kind, PerceivedSeverity] = {"MISSING": "MAJOR", "CHANGED": "MINOR", "ORPHANED": "WARNING"}
_GRAVEST_FIRST: Sequence[PerceivedSeverity] = ("CRITICAL", "MAJOR", "MINOR", "WARNING")

#: Probable cause of what a HEAL mends, and of what none mends.
LOST: Mapping[Healing, str] = {"ALL": "VNF lost", "VNFC": "VNFC lost"}
DIFFERS: Mapping[Kind, str] = {
    "MISSING": "Resource missing",
    "CHANGED": "Resource changed",
    "ORPHANED": "Resource orphaned",
}

#: What a resource is to SOL003; COMPUTE where it is not said here.
RESOURCES: Mapping[str, FaultyResourceType] = {
    VOLUME: "STORAGE",
    IMAGE: "STORAGE",
    NET: "NETWORK",
    PORT: "NETWORK",
}

ENDED = "a comparison with the VIM does not find it any more"
FOUND_ANEW = "a later comparison with the VIM finds something else, or the same after another operation"
TERMINATED = "the VNF is terminated"
DELETED = "the VNF instance is deleted"

_DETAILS = 50
"""Findings that an alarm describes; of more it says how many."""


def drifted(found: Iterable[DriftFound], commit: Commit) -> Iterator[tuple[AlarmRaised, tuple[str, ...]]]:
    """The alarms about what a comparison has found, each with the ids of the findings that it is about."""
    causes: dict[str, list[DriftFound]] = {}
    for event in found:
        causes.setdefault(_probable_cause(event.finding), []).append(event)
    for probable_cause, events in causes.items():
        ids = tuple(event.finding_id for event in events)
        yield _alarm(probable_cause, sorted((event.finding for event in events), key=_gravity), commit), ids


def _alarm(probable_cause: str, findings: Sequence[Finding], commit: Commit) -> AlarmRaised:
    gravest = findings[0]
    vnfcs = dict.fromkeys(finding.vnfc_instance_id for finding in findings if finding.vnfc_instance_id)
    return AlarmRaised(
        cause=place(commit),
        managed_object_kind="VNF",
        managed_object_id=commit.aggregate_id,
        event_type="EQUIPMENT_ALARM",
        perceived_severity=_severity(gravest),
        probable_cause=probable_cause,
        fault_type="VNF_DRIFT",
        fault_details=tuple(_details(findings)),
        raised_at=commit.at,
        vnfc_instance_ids=tuple(vnfcs),
        faulty_resource=FaultyResource(
            faulty_resource_type=RESOURCES.get(gravest.resource_type, "COMPUTE"),
            vim_level_resource_type=gravest.resource_type,
            resource_id=gravest.resource_id,
        ),
        healing=gravest.healing,
    )


def _probable_cause(finding: Finding) -> str:
    return LOST[finding.healing] if finding.healing else DIFFERS[finding.kind]


def _severity(finding: Finding) -> PerceivedSeverity:
    return SEVERITIES.get((finding.kind, finding.resource_type), OTHER_SEVERITIES[finding.kind])


def _gravity(finding: Finding) -> int:
    return _GRAVEST_FIRST.index(_severity(finding))


def _details(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings[:_DETAILS]:
        yield f"{finding.kind} {finding.resource_type} {finding.resource_id}: {finding.detail}"
    if len(findings) > _DETAILS:
        yield f"and {len(findings) - _DETAILS} more"

"""The pure core: every command in every state, and the merge patch of RFC 7396."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from forestay_events.aggregate import Context, Origin
from forestay_events.commit import Commit
from forestay_events.errors import Rejected
from forestay_package_mgmt.domain.commands import (
    ClaimVnfdId,
    CreatePackage,
    DeletePackage,
    FailOnboarding,
    FinishArtifact,
    FinishOnboarding,
    FinishUpload,
    ModifyPackage,
    PackageCommand,
    StartUpload,
)
from forestay_package_mgmt.domain.decide import PACKAGE, decide, merged
from forestay_package_mgmt.domain.state import Package
from forestay_sol.vnfd import Checksum, Vnfd

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VNFD = Vnfd(vnfd_id="v", provider="p", product_name="n", software_version="1", vnfd_version="1", flavours={})
START = StartUpload()
STORE = FinishUpload(2, "d" * 64, 7, Checksum(algorithm="sha512", hash="c"))
CLAIM, FINISH = ClaimVnfdId(3, "v"), FinishOnboarding(3, VNFD, ("v.yaml",), False)
ARTIFACT = FinishArtifact(3, "https://a.example/b", "e" * 64, 5)
CUT, FAIL = FailOnboarding(2, {"detail": "cut"}), FailOnboarding(3, {"detail": "no"})
CREATED: list[PackageCommand] = [CreatePackage({})]
HISTORIES: dict[str, list[PackageCommand]] = {
    "CREATED": CREATED,
    "UPLOADING": [*CREATED, START],
    "CUT": [*CREATED, START, CUT],
    "PROCESSING": [*CREATED, START, STORE],
    "CLAIMED": [*CREATED, START, STORE, CLAIM],
    "ONBOARDED": [*CREATED, START, STORE, CLAIM, FINISH],
    "DISABLED": [*CREATED, START, STORE, CLAIM, FINISH, ModifyPackage("DISABLED")],
    "FAILED": [*CREATED, START, STORE, FAIL],
    "DELETED": [*CREATED, DeletePackage(False)],
}
NOTHING = ""
OUTCOMES: list[tuple[PackageCommand, dict[str, str | int]]] = [
    (START, {"CREATED": "UPLOADING", "CUT": "UPLOADING", "FAILED": "UPLOADING", "DELETED": 404}),
    (STORE, {"UPLOADING": "PROCESSING"}),
    (CUT, {"UPLOADING": "CREATED"}),
    (ModifyPackage("ENABLED"), {"ONBOARDED": 409, "DISABLED": "ONBOARDED", "DELETED": 404}),
    (DeletePackage(False), {"ONBOARDED": 409, "DELETED": 404}),
    (DeletePackage(True), {"DELETED": 404}),
    (CLAIM, {"PROCESSING": "PROCESSING"}),
    (FAIL, {"PROCESSING": "CREATED", "CLAIMED": "CREATED"}),
    (ARTIFACT, {"PROCESSING": "PROCESSING", "CLAIMED": "PROCESSING"}),
    (FINISH, {"CLAIMED": "ONBOARDED"}),
]
DEFAULTS: dict[type[PackageCommand], str | int] = {StartUpload: 409, ModifyPackage: 400, DeletePackage: "DELETED"}


def execute(package: Package | None, version: int, command: PackageCommand, project: str = "p") -> Package | None:
    """The package after a command; ``None`` when it led to nothing."""
    events = decide(package, command, Context(NOW, Origin("command", project, "me"))).events
    if not events:
        return None
    commit = Commit(
        id="c", stream="PKG", kind="package", aggregate_id="id", version=version, at=NOW, project=project, actor="me",
        reason="", events=PACKAGE.codec.encode(events),
    )  # fmt: skip
    return PACKAGE.fold(package, commit)


def package_in(state: str) -> tuple[Package, int]:
    package: Package | None = None
    for version, command in enumerate(HISTORIES[state], start=1):
        package = execute(package, version, command)
    assert package is not None
    return package, len(HISTORIES[state]) + 1


@pytest.mark.parametrize("state", HISTORIES)
def test_every_command_in_every_state(state: str) -> None:
    for command, outcomes in OUTCOMES:
        if state == "PROCESSING" and command is FINISH:
            continue  # a defect of the caller: nobody finishes what was not claimed
        package, version = package_in(state)
        if isinstance(command, DeletePackage) and command.in_use:
            expected: str | int = outcomes.get(state, 409)
        else:
            expected = outcomes.get(state, DEFAULTS.get(type(command), NOTHING))
        if isinstance(expected, int):
            with pytest.raises(Rejected) as refusal:
                execute(package, version, command)
            assert refusal.value.status == expected, (state, command)
        else:
            after = execute(package, version, command)
            assert (after.onboarding_state if after else NOTHING) == expected, (state, command)


def test_reports_about_another_upload_lead_to_nothing() -> None:
    package, version = package_in("FAILED")
    again = execute(package, version, START)
    assert again is not None
    assert again.upload == version
    for stale in (STORE, CUT, CLAIM, ARTIFACT, FINISH, FAIL):
        assert execute(again, version + 1, stale) is None


def test_state_survives_json() -> None:
    for state in HISTORIES:
        package, _ = package_in(state)
        assert msgspec.json.decode(msgspec.json.encode(package), type=Package) == package


def test_a_foreign_package_is_not_found() -> None:
    package, version = package_in("CREATED")
    with pytest.raises(Rejected) as refusal:
        execute(package, version, START, project="other")
    assert refusal.value.status == 404


@pytest.mark.parametrize(
    ("data", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(data: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    assert merged(data, patch) == result

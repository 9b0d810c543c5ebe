"""Of several workers at one step only one notes that it is about to ask: whoever knew less than there is notes nothing."""

from __future__ import annotations

from typing import Any

from forestay_lcm.domain.commands import ReportStep

from tests.lcm.domain.story import Story, told
from tests.lcm.samples import create, instantiate


def note(story: Story, seen: dict[str, Any], result: dict[str, Any]) -> list[Any]:
    return story.do(ReportStep(story.operation.id, "grant", 1, "NOTED", result=result, seen=seen))


def test_the_second_of_two_notes_is_refused() -> None:
    story = told(create(), instantiate())
    first, second = {"asked_at": "2026-01-01T00:00:00"}, {"asked_at": "2026-01-01T00:00:01"}
    assert note(story, {}, first)
    assert note(story, {}, second) == []
    assert story.operation.runs[0].result == first
    assert note(story, first, second)
    assert story.operation.runs[0].result == second

"""Draws docs/lcm-states.md from the transition tables of LCM: ``python docs/draw_states.py`` writes it anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from forestay_lcm.domain.plan import PLANS, STEPS
from forestay_lcm.domain.transitions import OPERATION, STEP
from forestay_lcm.domain.vnf_snapshot import TRANSITIONS

PAGE = Path(__file__).parent / "lcm-states.md"

_PAGE = """\
# States of LCM operations and of their steps

Drawn by `docs/draw_states.py` from the tables in
[transitions.py](../services/lcm/src/forestay_lcm/domain/transitions.py),
[vnf_snapshot.py](../services/lcm/src/forestay_lcm/domain/vnf_snapshot.py) and
[plan.py](../services/lcm/src/forestay_lcm/domain/plan.py); do not edit. A transition that is not here cannot happen: folding
such an event raises `IllegalTransition`.

## LCM operation occurrence (SOL003 clause 5.6.2)

An arrow is an event. Until an operation has reached a final state (`FAILED_TEMP` is none), the VNF instance takes no other.

{operation}

## Step

`UNKNOWN` is an external call that may have acted: whoever takes the step next looks before it acts. A step that failed, or that
stands before a failed one, is intended again by a retry, as its next attempt; those behind it are planned again.

{step}

## VNF snapshot (SOL003 clause 5.4.24)

What an operation has claimed stays `FILLING` or `REVERTING` when the operation is given up ([snapshots.md](snapshots.md)).

{snapshot}

## Plans

| driver | operation | steps |
| --- | --- | --- |
{plans}

`graceful-wait` is left out of a forceful termination. A step that is passed over when it fails does not fail the operation; in
a plan it comes behind the scripts of the package.

| step | done by | fails after | a retry continues at | undone by |
| --- | --- | --- | --- | --- |
{steps}
"""


def page() -> str:
    """The whole page."""
    return _PAGE.format(
        operation=_diagram(OPERATION),
        step=_diagram(STEP),
        snapshot=_diagram(TRANSITIONS),
        plans="\n".join(_plans()),
        steps="\n".join(_steps()),
    )


def _diagram(table: Mapping[Any, Mapping[type, str]]) -> str:
    """A Mermaid state diagram. A state that has no arrows of its own is final."""
    arrows = [(before, event.__name__, after) for before, row in table.items() for event, after in row.items()]
    start = [] if None in table else [f"    [*] --> {next(iter(table))}"]
    drawn = [f"    {before or '[*]'} --> {after}: {event}" for before, event, after in arrows]
    final = dict.fromkeys(after for _, _, after in arrows if after not in table)
    return "\n".join(
        ["```mermaid", "stateDiagram-v2", *start, *drawn, *(f"    {state} --> [*]" for state in final), "```"]
    )


def _plans() -> Iterator[str]:
    for (driver, operation), names in PLANS.items():
        yield f"| {driver} | {operation} | {' → '.join(names)} |"


def _steps() -> Iterator[str]:
    for name, kind in STEPS.items():
        limit = f"{kind.timeout:.0f} s" if kind.timeout < 1e9 else "never"
        limit += ", passed over" if kind.optional else ""
        yield f"| {name} | {kind.executor} | {limit} | {kind.retry_from or name} | {', '.join(kind.undo)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

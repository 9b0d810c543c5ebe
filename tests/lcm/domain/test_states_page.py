"""docs/lcm-states.md is what the tables say."""

from __future__ import annotations

from docs.draw_states import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python docs/draw_states.py"

"""Date-times: one way to write them, RFC 3339 to read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from forestay_sol.types import parse_rfc3339, rfc3339
from hypothesis import given
from hypothesis import strategies as st

moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(moments, moments)
def test_text_sorts_as_time_does(one: datetime, other: datetime) -> None:
    milliseconds = [moment.replace(microsecond=moment.microsecond // 1000 * 1000) for moment in (one, other)]
    assert [parse_rfc3339(rfc3339(moment)) for moment in milliseconds] == milliseconds
    assert (rfc3339(one) < rfc3339(other)) == (milliseconds[0] < milliseconds[1])


def test_a_moment_is_written_in_utc() -> None:
    moment = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(moment) == "2026-05-01T10:00:00.000Z"
    assert parse_rfc3339("2026-05-01T12:00:00+02:00") == moment
    with pytest.raises(ValueError, match="time zone"):
        rfc3339(datetime(2026, 5, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "text",
    ["", "2026-05-01", "2026-05-01 10:00:00Z", "2026-05-01T10:00:00", "2026-02-30T10:00:00Z", "2026-05-01T24:00:00Z"],
)
def test_what_is_no_date_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)

"""Intervals: elapsed, wall-clock, and months that keep their day."""

from __future__ import annotations

import pytest

from squirrel.model.when import Every, When
from squirrel.recurrence import RuleError, compile_rule
from tests.unit.recurrence.asking import NEW_YORK, ms, runs


def test_months_keep_the_day_of_the_start() -> None:
    when = When(every=Every("month", 1, ms("2027-01-31T09:00:00")))
    assert runs(when, "2027-01-01T00:00:00", 5) == [
        f"2027-{day}T09:00:00" for day in ("01-31", "02-28", "03-31", "04-30", "05-31")
    ]
    assert runs(when, "2028-02-10T00:00:00", 1) == ["2028-02-29T09:00:00"]


def test_years_keep_the_leap_day() -> None:
    when = When(every=Every("year", 1, ms("2024-02-29T09:00:00")))
    found = runs(when, "2024-01-01T00:00:00", 5)
    assert [each[:10] for each in found] == ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]


def test_milliseconds_of_the_start_are_kept() -> None:
    when = When(every=Every("second", 10, ms("2027-01-01T00:00:00.250")))
    assert runs(when, "2027-01-01T00:00:10.251", 1) == ["2027-01-01T00:00:20.250000"]
    assert runs(when, "2027-01-01T00:00:10.250", 1) == ["2027-01-01T00:00:10.250000"]


def test_without_a_start_the_first_run_is_one_interval_after_creation() -> None:
    assert runs(When(every=Every("hour", 3)), "2026-01-01T00:00:00", 2) == [
        "2026-01-01T03:00:00",
        "2026-01-01T06:00:00",
    ]
    assert runs(When(every=Every("month", 1)), "2026-01-01T00:00:00", 1) == ["2026-02-01T00:00:00"]


def test_the_schedules_start_is_the_intervals_start() -> None:
    when = When(every=Every("day", 2), start_ms=ms("2027-05-01T08:00:00"))
    assert runs(when, "2026-01-01T00:00:00", 2) == ["2027-05-01T08:00:00", "2027-05-03T08:00:00"]


def test_a_start_in_the_second_pass_of_an_hour_is_a_slot() -> None:
    when = When(every=Every("day", 1, ms("2027-11-07T06:30:00")), timezone=NEW_YORK)
    assert runs(when, "2027-11-07T05:00:00", 2) == ["2027-11-07T06:30:00", "2027-11-08T06:30:00"]


def test_weeks_keep_the_wall_time() -> None:
    when = When(every=Every("week", 1, ms("2027-03-08T14:00:00")), timezone=NEW_YORK)
    assert runs(when, "2027-03-09T00:00:00", 1) == ["2027-03-15T13:00:00"]


@pytest.mark.parametrize(
    ("every", "field"),
    [
        (Every("fortnight", 1), "when.every.interval"),
        (Every("day", 0), "when.every.value"),
        (Every("day", -1), "when.every.value"),
        (Every("day", 10**12), "when.every.value"),
    ],
)
def test_refusals(every: Every, field: str) -> None:
    with pytest.raises(RuleError) as refused:
        compile_rule(When(every=every), created_ms=0)
    assert refused.value.field == field


def test_an_interval_of_centuries_ends_at_year_9999() -> None:
    rule = compile_rule(When(every=Every("year", 1_000)), created_ms=0)
    assert rule.next_after(ms("9990-01-01T00:00:00")) is None

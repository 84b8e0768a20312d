"""Excluded days: skipped, or moved to the business day before or after."""

from __future__ import annotations

from datetime import date

import pytest

from squirrel.model.when import When
from squirrel.recurrence import Calendar, RuleError, compile_rule, upcoming
from squirrel.recurrence.zone import zone_named
from tests.unit.recurrence.asking import NEW_YORK, ms, runs, text

WEEKENDS = Calendar(weekend=frozenset({5, 6}))
HOLIDAYS = Calendar(frozenset({date(2027, 1, 1), date(2027, 1, 18)}), frozenset({5, 6}))
CALENDARS = {"weekends": WEEKENDS, "us": HOLIDAYS}


def days(when: When, from_text: str, count: int) -> list[str]:
    """The UTC times of the first slots, calendars known."""
    rule = compile_rule(when, created_ms=0, calendars=CALENDARS.get)
    return [text(slot)[:13] for slot in upcoming(rule, ms(from_text), count)]


def test_skipped_days_are_those_of_the_rules_zone() -> None:
    when = When(cron="0 22 * * *", timezone=NEW_YORK, exclude=("2027-01-05", "weekends"))
    assert days(when, "2027-01-04T00:00:00", 3) == ["2027-01-05T03", "2027-01-07T03", "2027-01-08T03"]


def test_next_business_day_joins_slots_that_meet() -> None:
    when = When(cron="0 9 * * *", exclude=("us",), if_excluded="next_business_day")
    assert days(when, "2026-12-31T00:00:00", 4) == ["2026-12-31T09", "2027-01-04T09", "2027-01-05T09", "2027-01-06T09"]


def test_next_business_day_of_a_monthly_rule() -> None:
    when = When(cron="0 9 1 * *", exclude=("us",), if_excluded="next_business_day")
    assert days(when, "2027-01-01T00:00:00", 4) == ["2027-01-04T09", "2027-02-01T09", "2027-03-01T09", "2027-04-01T09"]
    assert days(when, "2027-04-02T00:00:00", 1) == ["2027-05-03T09"]


def test_previous_business_day() -> None:
    when = When(cron="0 9 L * *", exclude=("us",), if_excluded="previous_business_day")
    assert days(when, "2027-01-01T00:00:00", 4) == ["2027-01-29T09", "2027-02-26T09", "2027-03-31T09", "2027-04-30T09"]
    new_year = When(cron="0 9 1 1 *", exclude=("us",), if_excluded="previous_business_day")
    assert days(new_year, "2026-12-01T00:00:00", 2) == ["2026-12-31T09", "2027-12-31T09"]


@pytest.mark.parametrize("if_excluded", ["next_business_day", "previous_business_day"])
def test_moved_times_rise_and_keep_their_wall_time(if_excluded: str) -> None:
    when = When(cron="0 8,20 * * 0,3,6", timezone=NEW_YORK, exclude=("weekends",), if_excluded=if_excluded)
    rule = compile_rule(when, created_ms=0, calendars=CALENDARS.get)
    slots = upcoming(rule, ms("2027-03-01T00:00:00"), 60)
    assert slots == sorted(set(slots))
    target = {0, 2} if if_excluded == "next_business_day" else {2, 4}
    assert {date.fromisoformat(text(slot - 5 * 3_600_000)[:10]).weekday() for slot in slots} == target
    hours = [zone_named(NEW_YORK, "test").local(slot // 1000) // 3600 % 24 for slot in slots]
    assert hours == [8, 20] * 30
    # Asked from any instant the answer is the same series.
    assert [rule.next_after(slot - 1) for slot in slots] == slots
    assert [rule.next_after(slot) for slot in slots[:-1]] == slots[1:]


def test_a_rule_whose_every_slot_is_excluded_ends() -> None:
    assert days(When(cron="0 9 * * 6", exclude=("weekends",)), "2027-01-01T00:00:00", 3) == []


def test_a_rule_every_second_crosses_a_weekend_at_once() -> None:
    assert days(When(cron="* * * * * *", exclude=("weekends",)), "2027-01-02T00:00:00", 1) == ["2027-01-04T00"]


@pytest.mark.parametrize(
    ("exclude", "reason"),
    [
        (("nowhere",), "no calendar 'nowhere'"),
        (("2027-02-30",), "not a date"),
        (("all",), "no weekday"),
        (("2027-01-01",) * 1001, "1001 entries"),
    ],
)
def test_refusals(exclude: tuple[str, ...], reason: str) -> None:
    known = {**CALENDARS, "all": Calendar(weekend=frozenset(range(7)))}
    with pytest.raises(RuleError, match=reason) as refused:
        compile_rule(When(cron="0 9 * * *", exclude=exclude), created_ms=0, calendars=known.get)
    assert refused.value.field == "when.exclude"


def test_dates_need_no_lookup() -> None:
    assert runs(When(cron="0 9 * * *", exclude=("2027-01-01",)), "2027-01-01T00:00:00", 1) == ["2027-01-02T09:00:00"]


def test_a_long_closure_is_crossed() -> None:
    closed = Calendar(frozenset(date.fromordinal(date(2027, 1, 1).toordinal() + each) for each in range(300)))
    rule = compile_rule(When(cron="0 9 * * *", exclude=("closed",)), created_ms=0, calendars={"closed": closed}.get)
    assert text(rule.next_after(ms("2027-01-01T00:00:00")) or 0) == "2027-10-28T09:00:00"


def test_a_one_shot_on_an_excluded_day_moves_or_ends() -> None:
    holiday = When(at_ms=ms("2027-01-01T09:00:00.250"), exclude=("us",), if_excluded="next_business_day")
    assert runs_with(holiday) == ["2027-01-04T09:00:00.250000"]
    assert runs_with(When(at_ms=ms("2027-01-01T09:00:00"), exclude=("us",))) == []
    assert runs_with(When(at_ms=ms("2027-01-05T09:00:00"), end_ms=ms("2027-01-04T00:00:00"))) == []


def runs_with(when: When) -> list[str]:
    """All slots of a one-shot, calendars known."""
    rule = compile_rule(when, created_ms=0, calendars=CALENDARS.get)
    return [text(slot) for slot in upcoming(rule, ms("2026-12-01T00:00:00"), 9)]

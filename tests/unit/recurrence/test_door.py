"""The room's door: kinds, bounds, spread, zones, sharing, and what a question costs."""

from __future__ import annotations

import statistics
import time

import pytest

from benchmarks.next_slot import rules
from squirrel.model.when import DstPolicy, EventMatch, Every, Parent, When
from squirrel.recurrence import RuleError, compile_rule, explain, spread_offset_ms, upcoming, warnings
from tests.unit.recurrence.asking import NEW_YORK, cron, ms, runs


def test_one_shots_have_one_slot() -> None:
    assert runs(When(at_ms=ms("2027-01-01T00:00:00.5")), "2020-01-01T00:00:00", 5) == ["2027-01-01T00:00:00.500000"]
    assert runs(When(in_seconds=90.5), "2020-01-01T00:00:00", 5) == ["2026-01-01T00:01:30.500000"]


def test_what_waits_for_completions_has_no_slots() -> None:
    assert runs(When(after=(Parent("a"),)), "2020-01-01T00:00:00", 5) == []
    assert runs(When(on_event=EventMatch("email.*")), "2020-01-01T00:00:00", 5) == []


def test_start_and_end_are_inclusive() -> None:
    when = When(cron="0 * * * *", start_ms=ms("2027-01-01T05:00:00"), end_ms=ms("2027-01-01T07:00:00"))
    assert runs(when, "2020-01-01T00:00:00", 9) == [f"2027-01-01T0{hour}:00:00" for hour in (5, 6, 7)]


@pytest.mark.parametrize(
    ("when", "field"),
    [
        (When(), "when"),
        (When(at_ms=0, cron="* * * * *"), "when"),
        (When(cron="* * * * *", start_ms=2, end_ms=1), "when.end"),
        (When(cron="* * * * *", timezone="EST"), "when.timezone"),
        (When(cron="* * * * *", timezone="Nowhere/Land"), "when.timezone"),
        (When(cron="* * * * *", timezone="../../etc/passwd"), "when.timezone"),
        (When(cron="* * * * *", timezone="+02:00"), "when.timezone"),
        (When(cron="* * * * *", max_runs=0), "when.max_runs"),
        (When(cron="* * * * *", if_excluded="never"), "when.if_excluded"),
        (When(cron="* * * * *", dst=DstPolicy("jump")), "when.dst.gap"),
        (When(cron="* * * * *", dst=DstPolicy(None, "none")), "when.dst.overlap"),
        (When(cron="* * * * *", spread_seconds=-1), "when.spread_seconds"),
        (When(in_seconds=float("nan")), "when.in_seconds"),
        (When(in_seconds=1e18), "when.in_seconds"),
        (When(at_ms=10**18), "when.at"),
        (When(after=(Parent("a", "done"),)), "when.after.on"),
        (When(after=(Parent("a"),), join="some"), "when.join"),
    ],
)
def test_refusal_names_the_field(when: When, field: str) -> None:
    with pytest.raises(RuleError) as refused:
        compile_rule(when, created_ms=0)
    assert refused.value.field == field
    assert refused.value.fix


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("EST", "America/New_York"),
        ("PST", "America/Los_Angeles"),
        ("america/new_york", "America/New_York"),
        ("America/NewYork", "America/New_York"),
        ("Europe/Berln", "Europe/Berlin"),
        ("Eastern Standard Time", "America/New_York"),
        ("UTC+2", "Etc/GMT-2"),
    ],
)
def test_the_right_zone_is_offered(name: str, offered: str) -> None:
    with pytest.raises(RuleError) as refused:
        compile_rule(When(cron="* * * * *", timezone=name), created_ms=0)
    assert offered in refused.value.fix


def test_spread_is_stable_and_inside_its_width() -> None:
    assert spread_offset_ms("default/report", 300) == spread_offset_ms("default/report", 300)
    offsets = [spread_offset_ms(f"default/{number}", 300) for number in range(2_000)]
    assert all(0 <= offset < 300_000 for offset in offsets)
    assert 140_000 < statistics.mean(offsets) < 160_000
    assert spread_offset_ms("default/report", 0) == 0


def test_equal_rules_are_compiled_once() -> None:
    one = compile_rule(When(cron="0 9 * * *", timezone=NEW_YORK, max_runs=3), created_ms=1)
    assert compile_rule(When(cron="0 9 * * *", timezone=NEW_YORK, spread_seconds=9), created_ms=2) is one
    dates = When(cron="0 9 * * *", exclude=tuple(f"2027-01-{day:02}" for day in range(1, 29)))
    assert compile_rule(dates, created_ms=1) is compile_rule(dates, created_ms=2)
    bare = When(rrule="FREQ=DAILY")
    assert compile_rule(bare, created_ms=ms("2027-01-01T00:00:00")) is not compile_rule(bare, created_ms=0)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (cron("0 9 * * 1-5", NEW_YORK), "At 09:00, Monday to Friday, New York time"),
        (cron("*/15 9-16 * * 1-5"), "Every 15 minutes from 09:00 to 16:59, Monday to Friday, UTC"),
        (cron("0 9-17 * * *"), "Every hour from 09:00 to 17:00, UTC"),
        (cron("30 4 1,15 * 5"), "At 04:30, on day 1 and 15 of the month or on Friday, UTC"),
        (cron("0 0 L 6 *"), "At 00:00, on the last day of the month, in June, UTC"),
        (
            When(rrule="DTSTART;TZID=Europe/Berlin:20260101T093000\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR;COUNT=5"),
            "Every week, on Monday, Wednesday and Friday, at 09:30, 5 times, Berlin time",
        ),
        (
            When(rrule="FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;BYHOUR=9;BYMINUTE=0;BYSECOND=0"),
            "Every month, the last of Monday to Friday, at 09:00, UTC",
        ),
        (When(every=Every("day", 2), max_runs=3), "Every 2 days, UTC, at most 3 times"),
        (When(in_seconds=172_800), "Once, 2 days after it was created"),
        (When(after=(Parent("a"), Parent("b", "failure")), join="any"), "After a succeeds or b fails"),
        (
            When(on_event=EventMatch("email.*"), delay_seconds=90),
            "Whenever a run of email.* succeeds, 90 seconds later",
        ),
    ],
)
def test_explained_in_words(when: When, words: str) -> None:
    assert explain(when) == words


def test_warnings_say_what_happens_at_a_clock_change() -> None:
    begin = ms("2027-03-10T00:00:00")
    rule = cron("30 2 * * *", NEW_YORK)
    slots = upcoming(compile_rule(rule, created_ms=begin), begin, 10)
    assert warnings(rule, begin, slots) == [
        "02:30 does not exist on 2027-03-14 in New York: runs at 03:00, by gap: next"
    ]
    assert warnings(rule, begin, slots[:2]) == []
    assert warnings(cron("30 2 * * *", NEW_YORK, "skip"), begin, slots)[0].endswith("does not run, by gap: skip")
    assert warnings(cron("30 1 * * *", NEW_YORK), begin) == [
        "01:30 comes twice on 2027-11-07 in New York: runs the first time, by overlap: first"
    ]
    assert warnings(cron("*/5 * * * *", NEW_YORK), begin) == []
    assert warnings(cron("30 2 * * *"), begin) == []


def test_a_question_costs_microseconds() -> None:
    """Ten times the bar of 50 us, so that a busy machine does not decide; `make bench` holds the bar itself."""
    costs: list[float] = []
    for when in rules():
        rule = compile_rule(when, created_ms=ms("2026-01-01T00:00:00"))
        slot = ms("2027-01-01T00:00:00")
        for _ in range(5):
            begun = time.perf_counter()
            found = rule.next_after(slot)
            costs.append(time.perf_counter() - begun)
            if found is None:
                break
            slot = found
    assert statistics.median(costs) < 0.0005
    assert max(costs) < 0.05

"""RRULE: RFC 5545's own examples, the seed's, sets with dates added and taken away, and what is refused."""

from __future__ import annotations

import time

import pytest

from squirrel.model.when import DstPolicy, When
from squirrel.recurrence import RuleError, compile_rule, upcoming
from tests.unit.recurrence.asking import NEW_YORK, ms, runs, text

START = "DTSTART;TZID=America/New_York:19970902T090000\nRRULE:"


def days(rule: str, count: int, start: str = START) -> list[str]:
    """The first New York dates of a rule that starts on 1997-09-02."""
    return [each[:10] for each in runs(When(rrule=start + rule), "1997-01-01T00:00:00", count)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY;COUNT=10", "1997-09-02 1997-09-03 1997-09-04"),
        ("FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02 1997-09-12 1997-09-22 1997-10-02 1997-10-12"),
        ("FREQ=WEEKLY;INTERVAL=2;WKST=SU", "1997-09-02 1997-09-16 1997-09-30 1997-10-14"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH", "1997-09-02 1997-09-04 1997-09-16 1997-09-18"),
        ("FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "1997-09-05 1997-10-03 1997-11-07"),
        ("FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU", "1997-09-07 1997-09-28 1997-11-02 1997-11-30"),
        ("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "1997-09-22 1997-10-20 1997-11-17"),
        ("FREQ=MONTHLY;BYMONTHDAY=-3", "1997-09-28 1997-10-29 1997-11-28"),
        ("FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12", "1997-09-10 1997-09-11 1997-09-12 1999-03-10"),
        ("FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200", "2000-01-01 2000-04-09 2000-07-18 2003-01-01"),
        ("FREQ=YEARLY;BYDAY=20MO", "1998-05-18 1999-05-17 2000-05-15"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1998-05-11 1999-05-17 2000-05-15"),
        ("FREQ=YEARLY;BYWEEKNO=20", "1998-05-12 1999-05-18 2000-05-16"),
        ("FREQ=YEARLY;BYDAY=TU,-1SU", "1997-09-02 1997-09-09 1997-09-16"),
        ("FREQ=YEARLY;BYWEEKNO=53;BYDAY=FR", "1999-01-01 2004-12-31 2010-01-01"),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=TH", "1998-03-05 1998-03-12 1998-03-19"),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1998-02-13 1998-03-13 1998-11-13 1999-08-13"),
        ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "1997-11-04 2001-11-06 2005-11-08"),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04 1997-10-07 1997-11-06"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "1997-09-29 1997-10-30 1997-11-27"),
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=2", "1997-09-03 1997-09-10 1997-09-17"),
    ],
)
def test_examples_of_the_rfc(rule: str, expected: str) -> None:
    assert days(rule, len(expected.split())) == expected.split()


def test_week_start_changes_the_meaning() -> None:
    start = "DTSTART;TZID=America/New_York:19970805T090000\nRRULE:"
    rule = "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST="
    assert days(rule + "MO", 9, start) == ["1997-08-05", "1997-08-10", "1997-08-19", "1997-08-24"]
    assert days(rule + "SU", 9, start) == ["1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31"]


def test_positions_count_whole_weeks_over_new_year() -> None:
    rule = "DTSTART:20251201T000000Z\nRRULE:FREQ=WEEKLY;BYDAY=MO,SU;BYSETPOS="
    assert runs(When(rrule=rule + "-1"), "2025-12-25T00:00:00", 3) == [
        "2025-12-28T00:00:00",
        "2026-01-04T00:00:00",
        "2026-01-11T00:00:00",
    ]
    assert runs(When(rrule=rule + "2"), "2025-12-29T00:00:00", 1) == ["2026-01-04T00:00:00"]
    assert runs(When(rrule=rule + "1"), "2026-01-01T00:00:00", 1) == ["2026-01-05T00:00:00"]


@pytest.mark.parametrize(
    ("rule", "first", "second"),
    [
        ("DTSTART:20250101T083000Z\nRRULE:FREQ=DAILY;INTERVAL=1", "2025-01-01T08:30:00", "2025-01-02T08:30:00"),
        (
            "DTSTART:20250101T151500Z\nRRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,WE,FR",
            "2025-01-01T15:15:00",
            "2025-01-03T15:15:00",
        ),
        (
            "DTSTART:20250101T100000Z\nRRULE:FREQ=MONTHLY;INTERVAL=1;BYMONTHDAY=1,15",
            "2025-01-01T10:00:00",
            "2025-01-15T10:00:00",
        ),
        (
            "DTSTART:20250101T070000Z\nRRULE:FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25",
            "2025-12-25T07:00:00",
            "2026-12-25T07:00:00",
        ),
        ("DTSTART:20250101T020000Z\nRRULE:FREQ=HOURLY;INTERVAL=3", "2025-01-01T02:00:00", "2025-01-01T05:00:00"),
        (
            "DTSTART:20250101T233000Z\nRRULE:FREQ=MONTHLY;BYDAY=MO;BYSETPOS=2",
            "2025-01-13T23:30:00",
            "2025-02-10T23:30:00",
        ),
    ],
)
def test_examples_of_the_seed(rule: str, first: str, second: str) -> None:
    assert runs(When(rrule=rule), "2025-01-01T00:00:00", 2) == [first, second]


def test_the_seeds_ends() -> None:
    five = When(rrule="DTSTART:20250101T184500Z\nRRULE:FREQ=DAILY;INTERVAL=1;COUNT=5")
    assert runs(five, "2025-01-01T00:00:00", 9)[-1] == "2025-01-05T18:45:00"
    until = When(rrule="DTSTART:20250101T170000Z\nRRULE:FREQ=DAILY;UNTIL=20250110T170000Z")
    assert runs(until, "2025-01-01T00:00:00", 99)[-1] == "2025-01-10T17:00:00"


def test_a_bare_rule_starts_at_creation_in_its_zone() -> None:
    when = When(rrule="FREQ=DAILY;COUNT=3", timezone=NEW_YORK)
    found = runs(when, "2027-01-01T00:00:00", 9, created="2027-03-12T07:30:00.250")
    assert found == ["2027-03-12T07:30:01", "2027-03-13T07:30:01", "2027-03-14T07:30:01"]


def test_sets_add_and_take_away() -> None:
    rule = (
        "DTSTART;TZID=Europe/Berlin:20270101T090000\r\nRRULE:FREQ=WEEKLY;COUNT=4\r\nRRULE:FREQ=MONTHLY;COUNT=2\r\n"
        "RDATE:20270102T000000Z\r\nEXDATE;TZID=Europe/Berlin:20270108T090000\r\n"
    )
    assert runs(When(rrule=rule), "2027-01-01T00:00:00", 9) == [
        "2027-01-01T08:00:00",
        "2027-01-02T00:00:00",
        "2027-01-15T08:00:00",
        "2027-01-22T08:00:00",
        "2027-02-01T08:00:00",
    ]


def test_floating_values_are_read_in_the_schedules_zone() -> None:
    rule = "DTSTART:20270101T090000\nRRULE:FREQ=DAILY;UNTIL=20270104T090000\nEXDATE:20270102T090000"
    assert runs(When(rrule=rule, timezone=NEW_YORK), "2027-01-01T00:00:00", 9) == [
        "2027-01-01T14:00:00",
        "2027-01-03T14:00:00",
        "2027-01-04T14:00:00",
    ]


def test_an_exdate_that_is_a_date_takes_the_whole_day() -> None:
    rule = "DTSTART:20270101T000000Z\nRRULE:FREQ=HOURLY;INTERVAL=8\nEXDATE;VALUE=DATE:20270102"
    assert runs(When(rrule=rule), "2027-01-01T10:00:00", 2) == ["2027-01-01T16:00:00", "2027-01-03T00:00:00"]


def test_lines_may_be_folded_indented_or_on_one_line() -> None:
    plain = runs(When(rrule="DTSTART:20270101T000000Z\nRRULE:FREQ=WEEKLY;BYDAY=MO,TU"), "2027-01-01T00:00:00", 3)
    for rule in (
        "DTSTART:20270101T000000Z RRULE:FREQ=WEEKLY;BYDAY=MO,TU",
        "DTSTART:20270101T000000Z\n    RRULE:FREQ=WEEKLY;BYDAY=MO,TU",
        "DTSTART:20270101T000000Z\r\nRRULE:FREQ=WEEKLY;BY\r\n DAY=MO,TU",
        "dtstart:20270101t000000z\nrrule:freq=weekly;byday=mo,tu",
    ):
        assert runs(When(rrule=rule), "2027-01-01T00:00:00", 3) == plain


def test_hourly_goes_by_elapsed_time_and_counts_runs() -> None:
    rule = "DTSTART;TZID=America/New_York:20270313T000000\nRRULE:FREQ=HOURLY;COUNT=200"
    found = runs(When(rrule=rule), "2027-03-13T00:00:00", 999)
    assert len(found) == 200
    assert ms(found[-1]) - ms(found[0]) == 199 * 3_600_000
    assert runs(When(rrule=rule.replace("0313", "1106")), "2027-11-06T00:00:00", 999)[-1] == text(
        ms("2027-11-06T04:00:00") + 199 * 3_600_000
    )


def test_a_gap_that_is_skipped_is_not_counted() -> None:
    rule = "DTSTART;TZID=America/New_York:20270313T023000\nRRULE:FREQ=DAILY;COUNT=3"
    shifted, skipped = When(rrule=rule), When(rrule=rule, dst=DstPolicy("skip", None))
    assert runs(shifted, "2027-03-13T00:00:00", 9)[1:] == ["2027-03-14T07:30:00", "2027-03-15T06:30:00"]
    assert runs(skipped, "2027-03-13T00:00:00", 9)[1:] == ["2027-03-15T06:30:00", "2027-03-16T06:30:00"]


@pytest.mark.parametrize("zone", ["UTC", NEW_YORK])
def test_a_count_of_seconds_is_cheap_far_in(zone: str) -> None:
    when = When(rrule="DTSTART:20270101T000000\nRRULE:FREQ=SECONDLY;COUNT=2000000", timezone=zone)
    begun = time.process_time()
    rule = compile_rule(when, created_ms=0)
    first = rule.next_after(0)
    assert first is not None
    assert rule.next_after(first + 1_999_998_000) == first + 1_999_999_000
    assert rule.next_after(first + 1_999_999_000) is None
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ("FREQ=DAILY;COUNT=1000000000", "COUNT"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20270101T000000Z", "COUNT"),
        ("FREQ=DAILY;COUNT=0", "COUNT"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "BYWEEKNO"),
        ("FREQ=WEEKLY;BYDAY=2MO", "BYDAY"),
        ("FREQ=YEARLY;BYWEEKNO=3;BYDAY=2MO", "BYDAY"),
        ("FREQ=WEEKLY;BYMONTHDAY=3", "BYMONTHDAY"),
        ("FREQ=DAILY;BYYEARDAY=3", "BYYEARDAY"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=" + ",".join(["1"] * 1_000_000), "BYSETPOS"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=" + ",".join(["1"] * 10_000), "BYSETPOS"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6", "BYSETPOS"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "BYMONTHDAY"),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "BYMONTHDAY"),
        ("DTSTART:20270101T000000Z\nRRULE:FREQ=SECONDLY;INTERVAL=60;BYSECOND=1", "INTERVAL"),
        ("DTSTART:20270101T000000Z\nRRULE:FREQ=DAILY;INTERVAL=7;BYDAY=MO", "INTERVAL"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR"),
        ("FREQ=DAILY;BYEASTER=0", "BYEASTER"),
        ("FREQ=DAILY;FREQ=WEEKLY", "FREQ"),
        ("FREQ=OFTEN", "FREQ"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL"),
        ("FREQ=DAILY;WKST=XX", "WKST"),
        ("FREQ=DAILY\nEXRULE:FREQ=WEEKLY", "EXRULE"),
        ("FREQ=DAILY\n" + "\n".join(["EXDATE:20270101T000000Z"] * 10_000), "EXDATE"),
        ("FREQ=DAILY\nEXDATE:" + ",".join(["20270101T000000Z"] * 10_000), "EXDATE"),
        ("DTSTART:20270230T000000Z\nRRULE:FREQ=DAILY", "DTSTART"),
        ("DTSTART:20270101T000000Z\nRRULE:FREQ=DAILY;UNTIL=20260101T000000Z", "UNTIL"),
        ("DTSTART:20270101T000000Z", "RRULE"),
        ("SUMMARY:hello", "SUMMARY"),
    ],
)
def test_refusal_names_the_part_in_bounded_time(rule: str, part: str) -> None:
    begun = time.process_time()
    with pytest.raises(RuleError) as refused:
        compile_rule(When(rrule=rule), created_ms=0)
    assert refused.value.field == "when.rrule"
    assert refused.value.reason.startswith(f"{part}:")
    assert refused.value.fix
    assert time.process_time() - begun < 0.5


def test_an_unknown_zone_in_the_rule_is_refused_by_its_part() -> None:
    with pytest.raises(RuleError, match=r"DTSTART: TZID 'EST' .*America/New_York"):
        compile_rule(When(rrule="DTSTART;TZID=EST:20270101T000000\nRRULE:FREQ=DAILY"), created_ms=0)
    with pytest.raises(RuleError, match="EXDATE: TZID 'Nowhere/X' "):
        compile_rule(When(rrule="RRULE:FREQ=DAILY\nEXDATE;TZID=Nowhere/X:20270101T000000"), created_ms=0)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY;BYSECOND=1,3;BYMINUTE=5;COUNT=9999999",
        "FREQ=MINUTELY;INTERVAL=7;BYHOUR=3;BYMONTHDAY=13;BYDAY=FR;COUNT=9999999",
        "FREQ=MONTHLY;BYDAY=MO,TU;BYHOUR=1,2;BYSETPOS=1,3,-2;COUNT=9999999",
    ],
)
def test_a_count_is_counted_as_far_as_somebody_asks(rule: str) -> None:
    begin = ms("2027-01-01T00:00:00")
    began = time.process_time()
    found = upcoming(compile_rule(When(rrule=f"DTSTART:20270101T000000Z\nRRULE:{rule}"), created_ms=begin), begin, 3)
    assert len(found) == 3
    assert time.process_time() - began < 0.5, "to its end it would take more than a second"


@pytest.mark.parametrize("zone", ["UTC", NEW_YORK])
@pytest.mark.parametrize("freq", ["DAILY", "HOURLY"])
def test_a_count_ends_wherever_it_is_asked_from(zone: str, freq: str) -> None:
    rule = f"DTSTART;TZID={zone}:20200101T023000\nRRULE:FREQ={freq};COUNT=3000"
    begin = ms("2020-01-01T00:00:00")
    every = upcoming(compile_rule(When(rrule=rule), created_ms=begin), begin, 4000)
    assert len(every) == 3000
    late = compile_rule(When(rrule=rule.replace("COUNT=3000", "INTERVAL=1;COUNT=3000")), created_ms=begin)
    assert upcoming(late, every[2990], 100) == every[2990:]
    assert late.next_after(every[-1]) is None

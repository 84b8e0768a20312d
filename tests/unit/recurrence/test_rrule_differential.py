"""RRULE over generated rules: against python-dateutil and a plain reading in UTC, then in zones through the oracle.

Where dateutil and RFC 5545 differ (docs/recurrence.md lists each) the generated rules keep away.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, takewhile

import pytest
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from squirrel.model.when import DstPolicy, When
from squirrel.recurrence import RuleError, compile_rule, upcoming
from tests.unit.recurrence.oracle import CHANGES, EPOCH, info, mapped, window
from tests.unit.recurrence.plain_rrule import occurrences

pytestmark = pytest.mark.filterwarnings("ignore:Using both:DeprecationWarning")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
WINDOW_DAYS = {"DAILY": 900.0, "HOURLY": 60.0, "MINUTELY": 2.0, "SECONDLY": 0.2}
# The window of years dateutil is let loose on: a rule that finds nothing there costs it seconds.
YEARS = 6


def _numbers(low: int, high: int, most: int, signed: bool = False) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    if signed:
        number = st.one_of(number, number.map(lambda each: -each))
    return st.lists(number, min_size=1, max_size=most, unique=True).map(lambda each: ",".join(map(str, each)))


@st.composite
def rules(draw: st.DrawFn, frequencies: tuple[str, ...]) -> str:
    freq = draw(st.sampled_from(frequencies))
    parts = {"FREQ": freq, "INTERVAL": str(draw(st.sampled_from((1, 1, 1, 2, 3, 5, 7, 12))))}

    def maybe(part: str, values: st.SearchStrategy[str]) -> None:
        if draw(st.integers(0, 2)) == 0:
            parts[part] = draw(values)

    maybe("BYMONTH", _numbers(1, 12, 4))
    if freq == "YEARLY" and draw(st.integers(0, 3)) == 0:
        parts["BYWEEKNO"] = draw(_numbers(1, 53, 3, signed=True))
        # RFC 5545 takes the weekday from DTSTART, dateutil the whole week.
        parts["BYDAY"] = draw(st.sampled_from(WEEKDAYS))
    if freq in ("YEARLY", "HOURLY", "MINUTELY", "SECONDLY"):
        maybe("BYYEARDAY", _numbers(1, 366, 20, signed=True))
    if freq != "WEEKLY":
        maybe("BYMONTHDAY", _numbers(1, 31, 6, signed=True))
    if "BYDAY" not in parts:
        plain = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=5, unique=True)
        numbered = st.lists(
            st.tuples(st.sampled_from(("1", "2", "5", "-1", "-2", "+3")), st.sampled_from(WEEKDAYS)).map("".join),
            min_size=1,
            max_size=3,
            unique=True,
        )
        # dateutil intersects plain and numbered weekdays, RFC 5545 unites them.
        either = st.one_of(plain, numbered) if freq in ("YEARLY", "MONTHLY") else plain
        maybe("BYDAY", either.map(",".join))
    maybe("BYHOUR", _numbers(0, 23, 4))
    maybe("BYMINUTE", _numbers(0, 59, 3))
    maybe("BYSECOND", _numbers(0, 59, 3))
    # dateutil cuts the first week at DTSTART before it counts positions.
    if freq != "WEEKLY" and any(part.startswith("BY") for part in parts):
        maybe("BYSETPOS", _numbers(1, 4, 3, signed=True))
    maybe("WKST", st.sampled_from(WEEKDAYS))
    maybe("COUNT", st.integers(1, 400).map(str))
    return ";".join(f"{part}={value}" for part, value in parts.items())


starts = st.datetimes(datetime.fromisoformat("1996-01-01"), datetime.fromisoformat("2030-01-01")).map(
    lambda each: each.replace(microsecond=0)
)
quick = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck), print_blob=True)


def _expected(text: str, low: datetime, high: datetime, most: int) -> list[datetime]:
    # UNTIL beside COUNT, which dateutil still takes: it would look for a day that never comes until year 9999.
    try:
        found = rrulestr(f"{text};UNTIL={high:%Y%m%dT%H%M%S}").xafter(low, inc=True)
        return list(islice(takewhile(lambda each: each < high, found), most))
    except ValueError:
        assume(False)
        raise


@quick
@given(rule=rules(("YEARLY", "MONTHLY", "WEEKLY")), start=starts, days=st.integers(0, 900))
def test_long_units_against_dateutil(rule: str, start: datetime, days: int) -> None:
    low, high = start + timedelta(days=days), start + timedelta(days=days + 366 * YEARS)
    expected = [int((each - EPOCH).total_seconds() * 1000) for each in _expected(_text(rule, start), low, high, 8)]
    assert _slots(When(rrule=_text(rule, start)), low, high, 8) == expected


@quick
@given(rule=rules(tuple(WINDOW_DAYS)), start=starts, share=st.floats(0, 1))
def test_short_units_against_every_period(rule: str, start: datetime, share: float) -> None:
    days = WINDOW_DAYS[rule.split(";", maxsplit=1)[0][5:]]
    low = start + timedelta(days=days * share).__floordiv__(timedelta(seconds=1)) * timedelta(seconds=1)
    high = start + timedelta(days=days)
    expected = [int((each - EPOCH).total_seconds() * 1000) for each in occurrences(rule, start, low, high)[:30]]
    assert _slots(When(rrule=_text(rule, start)), low, high, 30) == expected


@quick
@given(
    rule=rules(("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY")).filter(lambda rule: "COUNT" not in rule),
    zone_change=st.sampled_from(CHANGES),
    start_days=st.integers(0, 500),
    second=st.integers(0, 86_399),
    policy=st.tuples(st.sampled_from(("skip", "shift", "next")), st.sampled_from(("first", "last", "both"))),
)
def test_zones(
    rule: str, zone_change: tuple[str, datetime], start_days: int, second: int, policy: tuple[str, str]
) -> None:
    zone, change = zone_change
    start = change - timedelta(days=start_days, seconds=-second)
    from_s = int((change - EPOCH).total_seconds()) - 86_400
    to_s = from_s + 86_400 * 4
    low, high = window(info(zone), from_s, to_s)
    low = max(low, start)
    if rule[5:10] in ("DAILY", "HOURL"):
        locals_ = occurrences(rule, start, low, high)
    else:
        locals_ = _expected(_text(rule, start), low, high, 20_000)
    expected = mapped(locals_, info(zone), *policy, from_s, to_s)
    text = f"DTSTART;TZID={zone}:{start:%Y%m%dT%H%M%S}\nRRULE:{rule}"
    when = When(rrule=text, dst=DstPolicy(*policy))
    assert [slot // 1000 for slot in _between(when, from_s * 1000, to_s * 1000)] == expected


def _text(rule: str, start: datetime) -> str:
    return f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{rule}"


def _slots(when: When, low: datetime, high: datetime, most: int) -> list[int]:
    low_ms, high_ms = (int((each - EPOCH).total_seconds() * 1000) for each in (low, high))
    try:
        rule = compile_rule(when, created_ms=0)
    except RuleError:
        return []
    return [slot for slot in upcoming(rule, low_ms, most) if slot < high_ms]


def _between(when: When, low_ms: int, high_ms: int) -> list[int]:
    try:
        rule = compile_rule(when, created_ms=0)
    except RuleError:
        return []
    found, after = [], low_ms - 1
    while (slot := rule.next_after(after)) is not None and slot < high_ms:
        found.append(slot)
        after = slot
    return found

"""Cron against a reading of Debian's cron(5) that tries every minute, in UTC and over zones, and against croniter."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta

from croniter import croniter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from squirrel.model.when import DstPolicy, When
from squirrel.recurrence import RuleError, compile_rule, upcoming
from tests.unit.recurrence.oracle import CHANGES, EPOCH, info, mapped, window

quick = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck), print_blob=True)
BOUNDS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 6)}


@st.composite
def items(draw: st.DrawFn, low: int, high: int) -> str:
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    step = draw(st.integers(1, 12))
    forms = ("*", f"*/{step}", str(first), str(first), f"{first}-{last}", f"{first}-{last}/{step}", f"{first}/{step}")
    return draw(st.sampled_from(forms))


@st.composite
def expressions(draw: st.DrawFn) -> str:
    fields = []
    for low, high in BOUNDS.values():
        field = draw(st.lists(items(low, high), min_size=1, max_size=3).map(",".join))
        fields.append(field if draw(st.booleans()) else "*")
    if draw(st.integers(0, 4)) == 0:
        fields[2] = draw(st.sampled_from(("L", "LW", "15W", "1W", "L,10")))
    if draw(st.integers(0, 4)) == 0:
        fields[4] = draw(st.sampled_from(("5L", "1#2", "5#5", "0L,3", "7", "SUN", "MON-FRI")))
    return " ".join(fields)


def _matches(field: str, value: int, low: int, high: int) -> bool:
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        begin = low if span == "*" else int(first)
        end = high if span == "*" or (step and not last) else int(last or first)
        if begin <= value <= end and (value - begin) % int(step or 1) == 0:
            return True
    return False


def _day_matches(field: str, day: datetime) -> bool:
    length = monthrange(day.year, day.month)[1]
    for item in field.split(","):
        if item == "L":
            hit = day.day == length
        elif item.endswith("W"):
            target = day.replace(day=length if item == "LW" else int(item[:-1]))
            near = sorted(
                (abs((other - target).days), other)
                for other in (target + timedelta(days=step) for step in (-2, -1, 0, 1, 2))
                if other.month == day.month and other.weekday() < 5
            )
            hit = near[0][1].day == day.day
        else:
            hit = _matches(item, day.day, 1, 31)
        if hit:
            return True
    return False


def _weekday_matches(field: str, day: datetime) -> bool:
    for name, number in (("SUN", "0"), ("MON", "1"), ("FRI", "5")):
        field = field.replace(name, number)
    weekday = day.isoweekday() % 7
    for item in field.split(","):
        if item.endswith("L"):
            hit = weekday == int(item[:-1]) and day.day + 7 > monthrange(day.year, day.month)[1]
        elif "#" in item:
            hit = weekday == int(item[0]) and (day.day + 6) // 7 == int(item[-1])
        else:
            hit = _matches(item, weekday, 0, 6) or (weekday == 0 and item == "7")
        if hit:
            return True
    return False


def _fires_on(expression: str, day: datetime) -> bool:
    _, _, month_day, month, weekday = expression.split()
    if not _matches(month, day.month, 1, 12):
        return False
    by_date, by_weekday = _day_matches(month_day, day), _weekday_matches(weekday, day)
    if month_day.startswith("*") or weekday.startswith("*"):
        return by_date and by_weekday
    return by_date or by_weekday


def _locals(expression: str, low: datetime, high: datetime) -> list[datetime]:
    minute, hour, *_ = expression.split()
    times = [
        timedelta(hours=at, minutes=past)
        for at in range(24)
        for past in range(60)
        if _matches(hour, at, 0, 23) and _matches(minute, past, 0, 59)
    ]
    day, found = low.replace(hour=0, minute=0, second=0), []
    while day < high:
        if _fires_on(expression, day):
            found += [day + time for time in times]
        day += timedelta(days=1)
    return [each for each in found if low <= each < high]


@quick
@given(
    expression=expressions(),
    start=st.datetimes(datetime.fromisoformat("2009-01-01"), datetime.fromisoformat("2032-01-01")).map(
        lambda each: each.replace(second=0, microsecond=0)
    ),
)
def test_utc(expression: str, start: datetime) -> None:
    low_ms = int((start - EPOCH).total_seconds()) * 1000
    high = start + timedelta(days=150)
    expected = [int((each - EPOCH).total_seconds()) * 1000 for each in _locals(expression, start, high)[:20]]
    assert _slots(When(cron=expression), low_ms, low_ms + 150 * 86_400_000, 20) == expected


@quick
@given(
    expression=expressions(),
    zone_change=st.sampled_from(CHANGES),
    hours=st.integers(-30, 24),
    policy=st.one_of(
        st.none(), st.tuples(st.sampled_from(("skip", "shift", "next")), st.sampled_from(("first", "last", "both")))
    ),
)
def test_zones(expression: str, zone_change: tuple[str, datetime], hours: int, policy: tuple[str, str] | None) -> None:
    zone, change = zone_change
    from_s = int((change - EPOCH).total_seconds()) + hours * 3600
    to_s = from_s + 86_400 * 3
    low, high = window(info(zone), from_s, to_s)
    default = ("skip", "both") if expression.split()[1].startswith("*") else ("next", "first")
    gap, overlap = policy or default
    locals_ = _locals(expression, low, high)
    expected = mapped(locals_, info(zone), gap, overlap, from_s, to_s)
    when = When(cron=expression, timezone=zone, dst=DstPolicy(*policy) if policy else None)
    assert [slot // 1000 for slot in _slots(when, from_s * 1000, to_s * 1000, 200_000)] == expected


@quick
@given(
    expression=expressions().filter(lambda each: not set(each) & set("LW#")),
    start=st.datetimes(datetime.fromisoformat("2009-01-01"), datetime.fromisoformat("2032-01-01")),
)
def test_croniter_agrees(expression: str, start: datetime) -> None:
    # croniter reads a range of one (`7-7`, and `6/1` on a last value) as everything, and a star beside other things otherwise
    # than Debian.
    fields = expression.split()
    lasts = ("59", "23", "31", "12 DEC", "6 7 SAT SUN")
    bases = [
        (item.split("/")[0], last)
        for field, last in zip(fields, lasts, strict=True)
        for item in field.split(",")
        if "/" in item
    ]
    if any(base.upper() in last.split() for base, last in bases):
        return
    if any("*" in field and field != "*" for field in (fields[2], fields[4])):
        return
    if any(
        left == right
        for field in fields
        for item in field.split(",")
        if "-" in item
        for left, right in [item.split("/")[0].split("-")]
    ):
        return
    try:
        walk = croniter(expression, start, max_years_between_matches=50)
        expected = [int((walk.get_next(datetime) - EPOCH).total_seconds()) * 1000 for _ in range(5)]
    except ValueError:
        expected = []
    after_ms = int((start - EPOCH).total_seconds() * 1000)
    try:
        rule = compile_rule(When(cron=expression), created_ms=0)
    except RuleError:
        assert not expected
        return
    assert upcoming(rule, after_ms + 1, 5) == expected


def _slots(when: When, low_ms: int, high_ms: int, most: int) -> list[int]:
    try:
        rule = compile_rule(when, created_ms=0)
    except RuleError:
        return []
    found: list[int] = []
    after = low_ms - 1
    while len(found) < most and (slot := rule.next_after(after)) is not None and slot < high_ms:
        found.append(slot)
        after = slot
    return found

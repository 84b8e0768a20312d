"""The days of an RRULE: which days of a year its BY parts allow, and which of those its interval reaches."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

from squirrel.recurrence.days import (
    DaySet,
    EveryNDays,
    YearKind,
    YearlyDays,
    date_of,
    is_leap,
    kind_of,
    month_lengths,
    year_of,
    year_start,
)
from squirrel.recurrence.rrule_parts import RuleParts

DaysIn = Callable[[int], tuple[int, ...]]
GREGORIAN_YEARS = 400
# Every kind of year comes up in any 40, the century years that are not leap years included.
KIND_YEARS = 40
_GREGORIAN_DAYS = 146_097


def rule_days(parts: RuleParts, start_day: int) -> DaySet:
    """The days of a DAILY, WEEKLY, MONTHLY or YEARLY rule whose defaults are filled in; `start_day` is DTSTART's."""
    if parts.freq == "DAILY" and not has_day_parts(parts):
        return EveryNDays(start_day, parts.interval)
    return YearlyDays(days_reached(parts, start_day), cycle_years(parts))


def days_reached(parts: RuleParts, start_day: int) -> DaysIn:
    """The days of a year of a rule of a day or longer, as day-of-year numbers from 0."""
    return _reached(parts, start_day, days_allowed(parts))


def has_day_parts(parts: RuleParts) -> bool:
    """Whether any part says something about days."""
    return bool(parts.by_month or parts.by_month_day or parts.by_year_day or parts.by_week_no or parts.by_day)


def cycle_years(parts: RuleParts) -> int:
    """After this many years the days of a rule repeat: the calendar's 400, times what the interval needs to fit in."""
    periods = {
        "YEARLY": GREGORIAN_YEARS,
        "MONTHLY": GREGORIAN_YEARS * 12,
        "WEEKLY": _GREGORIAN_DAYS // 7,
        "DAILY": _GREGORIAN_DAYS,
    }.get(parts.freq)
    if periods is None:
        return GREGORIAN_YEARS
    if parts.interval == 1:
        return KIND_YEARS
    return GREGORIAN_YEARS * (parts.interval // gcd(parts.interval, periods))


def days_allowed(parts: RuleParts) -> DaysIn:
    """The days of a year that every BY part allows, whatever the interval; expanded once per kind of year."""
    by_kind: dict[YearKind, tuple[int, ...]] = {}

    def days_in(year: int) -> tuple[int, ...]:
        kind = kind_of(year)
        known = by_kind.get(kind)
        if known is None:
            known = by_kind[kind] = _days_of_kind(parts, kind)
        return known

    return days_in


def _reached(parts: RuleParts, start_day: int, allowed: DaysIn) -> DaysIn:
    """Narrows the allowed days to every interval-th day, week, month or year from the start's."""
    step = parts.interval
    if step == 1:
        return allowed
    start_year = year_of(start_day)
    if parts.freq == "YEARLY":
        return lambda year: allowed(year) if (year - start_year) % step == 0 else ()
    if parts.freq == "MONTHLY":
        start_month = start_year * 12 + month_of(start_day)

        def monthly(year: int) -> tuple[int, ...]:
            months = [month for month in range(12) if (year * 12 + month - start_month) % step == 0]
            if not months:
                return ()
            spans = [month_span(year, month) for month in months]
            return tuple(day for day in allowed(year) if any(low <= day < high for low, high in spans))

        return monthly
    if parts.freq == "WEEKLY":
        first_week = week_of(start_day, parts.week_start)

        def weekly(year: int) -> tuple[int, ...]:
            start = year_start(year)
            return tuple(
                day for day in allowed(year) if (week_of(start + day, parts.week_start) - first_week) % step == 0
            )

        return weekly

    def daily(year: int) -> tuple[int, ...]:
        phase = year_start(year) - start_day
        return tuple(day for day in allowed(year) if (day + phase) % step == 0)

    return daily


def week_of(day: int, week_start: int) -> int:
    """The number of a week, counted from some week long ago; weeks begin on `week_start` (Monday is 0)."""
    return (day + 3 - week_start) // 7


def month_of(day: int) -> int:
    """The month of a day, from 0."""
    return date_of(day).month - 1


def month_span(year: int, month: int) -> tuple[int, int]:
    """First day of a month (from 0) and of the next, counted from 1 January as 0."""
    lengths = month_lengths(is_leap(year))
    low = sum(lengths[:month])
    return low, low + lengths[month]


def _days_of_kind(parts: RuleParts, kind: YearKind) -> tuple[int, ...]:
    days = set(range(kind.length))
    if parts.by_month:
        days &= _of_months(parts.by_month, kind)
    if parts.by_week_no:
        days &= _of_week_numbers(parts.by_week_no, parts.week_start, kind)
    if parts.by_year_day:
        days &= {day - 1 if day > 0 else kind.length + day for day in parts.by_year_day}
    if parts.by_month_day:
        days &= _of_month_days(parts.by_month_day, kind)
    if parts.by_day:
        days &= _of_weekdays(parts, kind)
    return tuple(sorted(days))


def _spans(kind: YearKind) -> list[tuple[int, int]]:
    spans, low = [], 0
    for length in month_lengths(kind.leap):
        spans.append((low, low + length))
        low += length
    return spans


def _of_months(months: tuple[int, ...], kind: YearKind) -> set[int]:
    spans = _spans(kind)
    return {day for month in months for day in range(*spans[month - 1])}


def _of_month_days(month_days: tuple[int, ...], kind: YearKind) -> set[int]:
    found: set[int] = set()
    for low, high in _spans(kind):
        for each in month_days:
            day = low + each - 1 if each > 0 else high + each
            if low <= day < high:
                found.add(day)
    return found


def _of_week_numbers(numbers: tuple[int, ...], week_start: int, kind: YearKind) -> set[int]:
    """Days of this calendar year in those weeks. Week 1 is the first with at least four days in the year."""
    first = _first_week(kind.first_weekday, week_start)
    next_first = kind.length + _first_week((kind.first_weekday + kind.length) % 7, week_start)
    length_before = 366 if kind.leap_before else 365
    first_before = _first_week((kind.first_weekday - length_before) % 7, week_start) - length_before
    found: set[int] = set()
    for begin, end in ((first_before, first), (first, next_first), (next_first, next_first + 7 * 52)):
        weeks = (end - begin) // 7
        for number in numbers:
            if end > kind.length + 7 and number < 0:
                continue  # the next year's last weeks are not in this one
            index = number - 1 if number > 0 else weeks + number
            if 0 <= index < weeks:
                found.update(range(begin + index * 7, begin + index * 7 + 7))
    return {day for day in found if 0 <= day < kind.length}


def _first_week(first_weekday: int, week_start: int) -> int:
    """Day of year on which week 1 begins, from -3 to 3."""
    offset = (week_start - first_weekday) % 7
    return offset if offset <= 3 else offset - 7


def _of_weekdays(parts: RuleParts, kind: YearKind) -> set[int]:
    """BYDAY: plain weekdays, and numbered ones within the month, or within the year for YEARLY without BYMONTH."""
    found: set[int] = set()
    plain = {each.weekday for each in parts.by_day if each.position == 0}
    found.update(day for day in range(kind.length) if (kind.first_weekday + day) % 7 in plain)
    by_month = parts.freq == "MONTHLY" or bool(parts.by_month)
    spans = _spans(kind) if by_month else [(0, kind.length)]
    for position, weekday in parts.by_day:
        if position == 0:
            continue
        for low, high in spans:
            if position > 0:
                first = low + (weekday - kind.first_weekday - low) % 7
                day = first + (position - 1) * 7
            else:
                last = high - 1 - (kind.first_weekday + high - 1 - weekday) % 7
                day = last + (position + 1) * 7
            if low <= day < high:
                found.add(day)
    return found

"""Cron: parsed fields to a local series."""

from __future__ import annotations

from functools import lru_cache

from squirrel.recurrence.cron_text import FIELD, CronFields, parse_cron
from squirrel.recurrence.days import DaySeries, YearKind, YearlyDays, kind_of, month_lengths
from squirrel.recurrence.dst import CRON_POLICY, ELAPSED_POLICY, Policy
from squirrel.recurrence.problem import RuleError
from squirrel.recurrence.series import LOCAL_MIN
from squirrel.recurrence.times import ProductTimes

# 29 February on one weekday may be 40 years apart, never more.
_CYCLE_YEARS = 40


@lru_cache(maxsize=1024)
def compile_cron(text: str) -> tuple[DaySeries, Policy]:
    """The series of an expression and the clock-change policy of its kind; RuleError when it is wrong or never occurs."""
    fields = parse_cron(text)
    by_kind: dict[YearKind, tuple[int, ...]] = {}

    def days_in(year: int) -> tuple[int, ...]:
        kind = kind_of(year)
        known = by_kind.get(kind)
        if known is None:
            known = by_kind[kind] = _days_of_kind(fields, kind)
        return known

    days = YearlyDays(days_in, _CYCLE_YEARS)
    series = DaySeries(days, ProductTimes(fields.hours, fields.minutes, fields.seconds), LOCAL_MIN)
    if days.at_or_after(0) is None:
        _, _, _, month_day, month, weekday = fields.texts
        raise RuleError(
            FIELD,
            f"never occurs: no year has day {month_day} of month {month} with weekday {weekday}",
            "Choose a day the month has, or L for its last",
        )
    return series, ELAPSED_POLICY if fields.hour_star else CRON_POLICY


def _days_of_kind(fields: CronFields, kind: YearKind) -> tuple[int, ...]:
    """Days of such a year, from 0."""
    found: list[int] = []
    start, weekday = 0, kind.first_weekday
    for month, length in enumerate(month_lengths(kind.leap), 1):
        if month in fields.months:
            found.extend(start + day - 1 for day in _days_of_month(fields, length, weekday))
        start += length
        weekday = (weekday + length) % 7
    return tuple(found)


def _days_of_month(fields: CronFields, length: int, first_weekday: int) -> list[int]:
    """Days of a month of this length that begins on this weekday (Monday is 0), from 1, rising."""
    by_date = _by_date(fields, length, first_weekday)
    by_weekday = _by_weekday(fields, length, first_weekday)
    # Debian: both must hold when either field begins with a star, else one is enough.
    either = not (fields.month_day_star or fields.weekday_star)
    return sorted(by_date | by_weekday if either else by_date & by_weekday)


def _by_date(fields: CronFields, length: int, first_weekday: int) -> set[int]:
    days = {day for day in fields.month_days if day <= length}
    if fields.last_day:
        days.add(length)
    if fields.last_workday:
        days.add(_nearest_workday(length, length, first_weekday))
    days.update(_nearest_workday(day, length, first_weekday) for day in fields.nearest_workdays if day <= length)
    return days


def _nearest_workday(day: int, length: int, first_weekday: int) -> int:
    """Monday to Friday nearest to a day, never in another month."""
    weekday = (first_weekday + day - 1) % 7
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < length else day - 2
    return day


def _by_weekday(fields: CronFields, length: int, first_weekday: int) -> set[int]:
    days: set[int] = set()
    for day in range(1, length + 1):
        weekday = (first_weekday + day) % 7  # Sunday is 0
        if (
            weekday in fields.weekdays
            or (weekday in fields.last_weekdays and day + 7 > length)
            or (weekday, (day + 6) // 7) in fields.nth_weekdays
        ):
            days.add(day)
    return days

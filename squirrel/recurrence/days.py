"""Sets of days, asked one way: which is the first not before this one.

A day is a count of days from 1970-01-01. A year's days depend on little: how long it is and the weekday it starts on (14 kinds
of year), and for week numbers whether the year before was long. So a rule's days are expanded once per kind.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from datetime import date
from typing import NamedTuple, Protocol

from squirrel.recurrence.limits import YEARS_KEPT_MAX
from squirrel.recurrence.series import DAY_MAX, DAY_MIN, DAY_SECONDS, EPOCH_ORDINAL, LOCAL_MAX
from squirrel.recurrence.times import TimesOfDay

YEAR_MAX = 9998
_MONTH_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class YearKind(NamedTuple):
    """What a year looks like: `first_weekday` of 1 January (Monday is 0), and whether it and the one before are leap years."""

    leap: bool
    first_weekday: int
    leap_before: bool

    @property
    def length(self) -> int:
        """Days in the year."""
        return 366 if self.leap else 365


def is_leap(year: int) -> bool:
    """Whether a Gregorian year has 366 days."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_lengths(leap: bool) -> tuple[int, ...]:
    """Days of the 12 months."""
    return (31, 29, *_MONTH_LENGTHS[2:]) if leap else _MONTH_LENGTHS


def year_start(year: int) -> int:
    """The day of 1 January."""
    return date(year, 1, 1).toordinal() - EPOCH_ORDINAL


def date_of(day: int) -> date:
    """The calendar date of a day."""
    return date.fromordinal(day + EPOCH_ORDINAL)


def day_of(value: date) -> int:
    """The day of a calendar date."""
    return value.toordinal() - EPOCH_ORDINAL


def year_of(day: int) -> int:
    """The year a day is in."""
    return date.fromordinal(day + EPOCH_ORDINAL).year


def weekday_of(day: int) -> int:
    """Monday is 0. Day 0 was a Thursday."""
    return (day + 3) % 7


def kind_of(year: int) -> YearKind:
    """The kind of a year."""
    return YearKind(is_leap(year), weekday_of(year_start(year)), is_leap(year - 1))


class DaySet(Protocol):
    """Rising days, possibly endless."""

    def at_or_after(self, day: int) -> int | None:
        """The first day not before this one; None when there is none."""
        ...

    def rank(self, from_day: int, day: int) -> int:
        """How many days of the set lie in [from_day, day)."""
        ...


class EveryNDays:
    """`first`, and every n-th day after it."""

    def __init__(self, first: int, step: int) -> None:
        self.first = first
        self.step = step

    def at_or_after(self, day: int) -> int | None:
        if day <= self.first:
            return self.first
        found = self.first + -(-(day - self.first) // self.step) * self.step
        return found if found <= DAY_MAX else None

    def rank(self, from_day: int, day: int) -> int:
        return self._before(day) - self._before(from_day)

    def _before(self, day: int) -> int:
        return max(0, -(-(day - self.first) // self.step))


class YearlyDays:
    """Days that `days_in(year)` lists, each year by itself, as rising day-of-year numbers from 0.

    `cycle_years` bounds the search: when that many years in a row have none, no year has.
    """

    def __init__(self, days_in: Callable[[int], tuple[int, ...]], cycle_years: int) -> None:
        self._days_in = days_in
        self._cycle_years = cycle_years
        self._kept: dict[int, tuple[int, tuple[int, ...]]] = {}

    def _year(self, year: int) -> tuple[int, tuple[int, ...]]:
        known = self._kept.get(year)
        if known is None:
            if len(self._kept) >= YEARS_KEPT_MAX:
                self._kept.clear()
            known = self._kept[year] = (year_start(year), self._days_in(year))
        return known

    def at_or_after(self, day: int) -> int | None:
        day = max(day, DAY_MIN)
        if day > DAY_MAX:
            return None
        year = year_of(day)
        start, days = self._year(year)
        index = bisect_left(days, day - start)
        if index < len(days):
            return start + days[index]
        for later in range(year + 1, min(year + self._cycle_years + 1, YEAR_MAX + 1)):
            days = self._days_in(later)
            if days:
                return self._year(later)[0] + days[0]
        return None

    def rank(self, from_day: int, day: int) -> int:
        if day <= from_day:
            return 0
        from_year, year = year_of(from_day), year_of(day)
        total = 0 if from_year == year else sum(len(self._days_in(each)) for each in range(from_year, year))
        start, days = self._year(year)
        total += bisect_left(days, day - start)
        start, days = self._year(from_year)
        return total - bisect_left(days, from_day - start)


class DaySeries:
    """Days crossed with times of day, from `first_s` on: what cron and every rule of a day or longer comes down to."""

    def __init__(self, days: DaySet, times: TimesOfDay, first_s: int) -> None:
        self.days = days
        self.times = times
        self.first_s = first_s

    def at_or_after(self, local_s: int) -> int | None:
        day, second = divmod(max(local_s, self.first_s), DAY_SECONDS)
        index = self.times.rank(second)
        if index == len(self.times):
            day, index = day + 1, 0
        found = self.days.at_or_after(day)
        if found is None:
            return None
        local_s = found * DAY_SECONDS + self.times.at(index if found == day else 0)
        return local_s if local_s <= LOCAL_MAX else None

    def count(self, low_s: int, high_s: int) -> int:
        low_s = max(low_s, self.first_s)
        if high_s <= low_s:
            return 0
        low_day, low_second = divmod(low_s, DAY_SECONDS)
        high_day, high_second = divmod(high_s, DAY_SECONDS)
        whole = self.days.rank(low_day, high_day) * len(self.times)
        return whole + self._inside(high_day, high_second) - self._inside(low_day, low_second)

    def _inside(self, day: int, second: int) -> int:
        """Members of one day before a second of it."""
        return self.times.rank(second) if self.days.rank(day, day + 1) else 0

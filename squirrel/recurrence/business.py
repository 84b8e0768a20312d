"""Excluded days: calendars and dates, and moving a slot to the next or previous business day.

A business day is one that nothing excludes. Days are those of the rule's zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from squirrel.recurrence.counting import Instants
from squirrel.recurrence.days import day_of, weekday_of
from squirrel.recurrence.dst import Policy, instants_of
from squirrel.recurrence.limits import (
    EXCLUDE_ENTRIES_MAX,
    EXCLUDED_DAYS_MAX,
    EXCLUDED_RUN_DAYS_MAX,
    LARGE_COMPILED_MAX,
)
from squirrel.recurrence.problem import RuleError
from squirrel.recurrence.series import DAY_SECONDS
from squirrel.recurrence.zone import Zone

FIELD = "when.exclude"


@dataclass(frozen=True)
class Calendar:
    """Days off: listed `dates`, and weekdays that always are (`weekend`, Monday is 0)."""

    dates: frozenset[date] = frozenset()
    weekend: frozenset[int] = frozenset()


CalendarLookup = Callable[[str], Calendar | None]


def no_calendars(name: str) -> Calendar | None:
    """The lookup of a place that has no calendars."""
    return None


def excluded_days(exclude: tuple[str, ...], calendars: CalendarLookup) -> Calendar | None:
    """All entries of `exclude` as one calendar, None for none; RuleError for a name the lookup does not have."""
    if not exclude:
        return None
    dates, names = _parted(exclude)
    return _united((dates, *(_looked_up(name, calendars) for name in names)))


def _looked_up(name: str, calendars: CalendarLookup) -> Calendar:
    calendar = calendars(name)
    if calendar is None:
        shown = name[:80]
        raise RuleError(FIELD, f"there is no calendar {shown!r}", f"Create it with PUT /api/v1/calendars/{shown}")
    return calendar


@lru_cache(maxsize=LARGE_COMPILED_MAX)
def _parted(exclude: tuple[str, ...]) -> tuple[Calendar, tuple[str, ...]]:
    """The dates among the entries, and the names."""
    if len(exclude) > EXCLUDE_ENTRIES_MAX:
        raise RuleError(
            FIELD, f"it has {len(exclude)} entries, at most {EXCLUDE_ENTRIES_MAX} are read", "Make a calendar"
        )
    names = tuple(entry for entry in exclude if not entry[:1].isdigit())
    return Calendar(frozenset(_date(entry) for entry in exclude if entry[:1].isdigit())), names


@lru_cache(maxsize=LARGE_COMPILED_MAX)
def _united(calendars: tuple[Calendar, ...]) -> Calendar:
    dates = frozenset[date]().union(*(calendar.dates for calendar in calendars))
    weekend = frozenset[int]().union(*(calendar.weekend for calendar in calendars))
    if len(weekend) == 7:
        raise RuleError(FIELD, "the calendars leave no weekday, so the rule never occurs", "Leave one of them out")
    return Calendar(dates, weekend)


def _date(entry: str) -> date:
    try:
        return date.fromisoformat(entry)
    except ValueError:
        raise RuleError(FIELD, f"{entry[:40]!r} is not a date", "Write 2027-12-25") from None


class DaysOff:
    """Which days are excluded, by day number."""

    def __init__(self, calendar: Calendar) -> None:
        self._days = frozenset(map(day_of, calendar.dates))
        self._weekend = calendar.weekend

    def __contains__(self, day: int) -> bool:
        return day in self._days or weekday_of(day) in self._weekend

    def on_from(self, day: int, step: int) -> int | None:
        """The first business day from this one on, forwards (1) or backwards (-1); None past the longest run."""
        for _ in range(EXCLUDED_RUN_DAYS_MAX):
            if day not in self:
                return day
            day += step
        return None

    def run_beside(self, day: int, step: int) -> Iterator[int]:
        """The excluded days next to a day, forwards (1) or backwards (-1)."""
        for _ in range(EXCLUDED_RUN_DAYS_MAX):
            day += step
            if day not in self:
                return
            yield day


class SkippedDays:
    """A source less the slots on excluded days; the search ends after EXCLUDED_DAYS_MAX such slots in a row."""

    def __init__(self, source: Instants, days_off: DaysOff, zone: Zone) -> None:
        self._source = source
        self._days_off = days_off
        self._zone = zone

    def at_or_after(self, utc_s: int) -> int | None:
        for _ in range(EXCLUDED_DAYS_MAX):
            found = self._source.at_or_after(utc_s)
            if found is None:
                return None
            day = self._zone.local(found) // DAY_SECONDS
            if day not in self._days_off:
                return found
            open_day = self._days_off.on_from(day + 1, 1)
            if open_day is None:
                return None
            utc_s = max(self._zone.utc(open_day * DAY_SECONDS), found + 1)
        return None


class MovedDays:
    """A source whose slots on excluded days move to a business day at the same wall time; `step` 1 is next, -1 previous.

    A moved slot that falls on another one is one run with it.
    """

    def __init__(self, source: Instants, days_off: DaysOff, zone: Zone, policy: Policy, step: int) -> None:
        self._source = source
        self._days_off = days_off
        self._zone = zone
        self._policy = policy
        self._step = step

    def at_or_after(self, utc_s: int) -> int | None:
        day = self._days_off.on_from(self._zone.local(utc_s) // DAY_SECONDS, 1)
        for _ in range(EXCLUDED_DAYS_MAX):
            if day is None:
                return None
            found = self._onto(day, utc_s)
            if found is not None:
                return found
            day = self._next_target(day)
        return None

    def _onto(self, day: int, utc_s: int) -> int | None:
        """The first slot from utc_s on that lands on a business day: its own, or one of the excluded days beside it."""
        low = max(self._zone.local(utc_s) - day * DAY_SECONDS, 0) if utc_s > self._midnight(day) else 0
        own = self._source.at_or_after(max(self._midnight(day), utc_s))
        best = own if own is not None and own < self._midnight(day + 1) else None
        for other in self._days_off.run_beside(day, -self._step):
            slot = self._source.at_or_after(self._zone.utc(other * DAY_SECONDS + low))
            if slot is None or slot >= self._midnight(other + 1):
                continue
            wall = self._zone.local(slot) - other * DAY_SECONDS
            for moved in instants_of(day * DAY_SECONDS + wall, self._zone, self._policy):
                if moved >= utc_s and (best is None or moved < best):
                    best = moved
        return best

    def _next_target(self, day: int) -> int | None:
        """The business day onto which the first slot after this one's lands."""
        last = day
        if self._step < 0:
            last += sum(1 for _ in self._days_off.run_beside(day, 1))
        slot = self._source.at_or_after(self._midnight(last + 1))
        if slot is None:
            return None
        return self._days_off.on_from(self._zone.local(slot) // DAY_SECONDS, self._step)

    def _midnight(self, day: int) -> int:
        return self._zone.utc(day * DAY_SECONDS)

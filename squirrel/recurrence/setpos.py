"""BYSETPOS: the n-th of all times of a week, month or year."""

from __future__ import annotations

from bisect import bisect_left
from itertools import groupby

from squirrel.recurrence.days import YEAR_MAX, year_of, year_start
from squirrel.recurrence.limits import YEARS_KEPT_MAX
from squirrel.recurrence.rrule_days import cycle_years, days_reached, month_of, week_of
from squirrel.recurrence.rrule_parts import RuleParts
from squirrel.recurrence.series import DAY_SECONDS, LOCAL_MAX
from squirrel.recurrence.times import TimesOfDay


def positions(size: int, by_set_pos: tuple[int, ...]) -> list[int]:
    """The indexes, rising and without repeats, that positions from the front or the back choose out of `size`."""
    chosen = {each - 1 if each > 0 else size + each for each in by_set_pos}
    return sorted(index for index in chosen if 0 <= index < size)


class SetPosSeries:
    """Chosen times of WEEKLY, MONTHLY and YEARLY periods, from `first_s` on.

    A period is taken whole even where DTSTART is inside it (RFC 5545: positions count the set of the interval).
    """

    def __init__(self, parts: RuleParts, times: TimesOfDay, first_s: int) -> None:
        self.first_s = first_s
        self._parts = parts
        self._times = times
        self._cycle_years = cycle_years(parts)
        # Whole periods: no first day cuts the one DTSTART is in.
        self._days_in = days_reached(parts, first_s // DAY_SECONDS)
        self._kept: dict[int, tuple[int, ...]] = {}

    def at_or_after(self, local_s: int) -> int | None:
        local_s = max(local_s, self.first_s)
        if local_s > LOCAL_MAX:
            return None
        first = year_of(local_s // DAY_SECONDS)
        for year in range(first, min(first + self._cycle_years + 1, YEAR_MAX + 1)):
            found = self._year(year)
            index = bisect_left(found, local_s)
            if index < len(found):
                return found[index]
        return None

    def count(self, low_s: int, high_s: int) -> int:
        low_s = max(low_s, self.first_s)
        if high_s <= low_s:
            return 0
        low_year, high_year = year_of(low_s // DAY_SECONDS), year_of(high_s // DAY_SECONDS)
        whole = sum(len(self._year(each)) for each in range(low_year, high_year))
        return whole + bisect_left(self._year(high_year), high_s) - bisect_left(self._year(low_year), low_s)

    def _year(self, year: int) -> tuple[int, ...]:
        """The local times of a calendar year."""
        known = self._kept.get(year)
        if known is None:
            if len(self._kept) >= YEARS_KEPT_MAX:
                self._kept.clear()
            known = self._kept[year] = self._expand(year)
        return known

    def _expand(self, year: int) -> tuple[int, ...]:
        low, high = year_start(year), year_start(year + 1)
        found: list[int] = []
        for period in self._periods(year, low, high):
            size = len(self._times)
            for index in positions(len(period) * size, self._parts.by_set_pos):
                day, time = divmod(index, size)
                if low <= period[day] < high:
                    found.append(period[day] * DAY_SECONDS + self._times.at(time))
        return tuple(found)

    def _periods(self, year: int, low: int, high: int) -> list[list[int]]:
        """The days, period by period, of every period that touches the year [low, high)."""
        days = [low + each for each in self._days_in(year)]
        if self._parts.freq == "YEARLY":
            return [days] if days else []
        if self._parts.freq == "MONTHLY":
            return [list(group) for _, group in groupby(days, month_of)]
        # Weeks run over the ends of the year.
        before, length_before = year_start(year - 1), low - year_start(year - 1)
        days = [before + each for each in self._days_in(year - 1) if each >= length_before - 6] + days
        days += [high + each for each in self._days_in(year + 1) if each < 6]
        return [list(group) for _, group in groupby(days, lambda day: week_of(day, self._parts.week_start))]

"""BYSETPOS: the n-th of all times of a week, month or year."""

from __future__ import annotations

from bisect import bisect_left
from itertools import groupby

from squirrel.recurrence.days import YEAR_MAX, YearlyDays, year_of, year_start
from squirrel.recurrence.limits import YEARS_KEPT_MAX
from squirrel.recurrence.rrule_days import cycle_years, month_of, rule_days, week_of
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
        # The whole periods the interval reaches: the same rule without a first day inside one.
        days = rule_days(parts, first_s // DAY_SECONDS)
        assert isinstance(days, YearlyDays), "a rule with BYSETPOS and days has a day part"
        self._days = days
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
        for period in self._periods(low, high):
            size = len(self._times)
            for index in positions(len(period) * size, self._parts.by_set_pos):
                day, time = divmod(index, size)
                if low <= period[day] < high:
                    found.append(period[day] * DAY_SECONDS + self._times.at(time))
        return tuple(found)

    def _periods(self, low: int, high: int) -> list[list[int]]:
        """The days, period by period, of every period that touches [low, high)."""
        freq, week_start = self._parts.freq, self._parts.week_start
        if freq == "WEEKLY":
            # Weeks run over the ends of the year.
            low, high = low - 6, high + 6
        days = self._reached(low, high)
        if freq == "YEARLY":
            return [days] if days else []
        key = (lambda day: week_of(day, week_start)) if freq == "WEEKLY" else month_of
        return [list(group) for _, group in groupby(days, key)]

    def _reached(self, low: int, high: int) -> list[int]:
        found: list[int] = []
        day = self._days.at_or_after(low)
        while day is not None and day < high:
            found.append(day)
            day = self._days.at_or_after(day + 1)
        return found

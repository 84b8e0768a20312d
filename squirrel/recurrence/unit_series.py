"""HOURLY, MINUTELY and SECONDLY: arithmetic over units of time instead of walking them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import gcd

from squirrel.recurrence.days import DaySet
from squirrel.recurrence.limits import SEARCH_STEPS_MAX
from squirrel.recurrence.problem import RuleError
from squirrel.recurrence.rrule_text import FIELD
from squirrel.recurrence.series import DAY_SECONDS, LOCAL_MAX

UNIT_SECONDS = {"HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}
_PHASES_KEPT_MAX = 4_096


class UnitSeries:
    """Every `step`-th unit from the one `first_s` is in, where days and times of day allow it.

    `spans` are the allowed units of a day as rising, disjoint [low, high); None allows all. `days` None allows every day.
    `offsets` are the seconds inside a unit.
    """

    def __init__(
        self,
        first_s: int,
        unit_s: int,
        step: int,
        days: DaySet | None,
        spans: tuple[tuple[int, int], ...] | None,
        offsets: tuple[int, ...],
    ) -> None:
        self.first_s = first_s
        self._unit_s = unit_s
        self._step = step
        self._days = days
        self._offsets = offsets
        self._first_unit = first_s // unit_s
        self._day_units = DAY_SECONDS // unit_s
        self._spans = spans if spans is not None else ((0, self._day_units),)
        self._lows = [low for low, _ in self._spans]
        self._free = days is None and spans is None
        self._by_phase: dict[int, int] = {}

    def meets(self) -> bool:
        """Whether the step ever falls on an allowed time of day, days left aside."""
        common = gcd(self._step, self._day_units)
        phase = self._first_unit % common
        return any((phase - low) % common < high - low for low, high in self._spans)

    def at_or_after(self, local_s: int) -> int | None:
        unit, second = divmod(max(local_s, self.first_s), self._unit_s)
        found = self._unit_from(unit)
        if found == unit:
            index = bisect_left(self._offsets, second)
            if index < len(self._offsets):
                return unit * self._unit_s + self._offsets[index]
            found = self._unit_from(unit + 1)
        if found is None:
            return None
        local_s = found * self._unit_s + self._offsets[0]
        return local_s if local_s <= LOCAL_MAX else None

    def _unit_from(self, unit: int) -> int | None:
        """The first unit of the series not before this one."""
        first, step, day_units = self._first_unit, self._step, self._day_units
        for _ in range(SEARCH_STEPS_MAX):
            unit = max(unit, first)
            unit = first + -(-(unit - first) // step) * step
            if self._free:
                return unit
            if unit * self._unit_s > LOCAL_MAX:
                return None
            day, inside = divmod(unit, day_units)
            if self._days is not None:
                allowed = self._days.at_or_after(day)
                if allowed is None:
                    return None
                if allowed > day:
                    unit = allowed * day_units + self._lows[0]
                    continue
            index = bisect_right(self._lows, inside) - 1
            if index >= 0 and inside < self._spans[index][1]:
                return unit
            if index + 1 < len(self._spans):
                unit = day * day_units + self._lows[index + 1]
            else:
                unit = (day + 1) * day_units + self._lows[0]
        raise RuleError(
            FIELD,
            "INTERVAL: it and the BY parts meet too rarely to be found",
            "Choose an interval that divides the day, or write the rule as FREQ=DAILY with BYHOUR, BYMINUTE and BYSECOND",
        )

    def count(self, low_s: int, high_s: int) -> int:
        low_s = max(low_s, self.first_s)
        if high_s <= low_s:
            return 0
        low_unit, high_unit = low_s // self._unit_s, high_s // self._unit_s
        whole = self._units_in(low_unit, high_unit) * len(self._offsets)
        return whole + self._inside(high_unit, high_s) - self._inside(low_unit, low_s)

    def _inside(self, unit: int, local_s: int) -> int:
        """Members of one unit before a local time in it."""
        return bisect_left(self._offsets, local_s % self._unit_s) if self._units_in(unit, unit + 1) else 0

    def _units_in(self, low: int, high: int) -> int:
        """Units of the series in [low, high)."""
        if self._free:
            return self._steps_in(low, high)
        total = 0
        day = self._next_day(low // self._day_units)
        while day is not None and day * self._day_units < high:
            begin = day * self._day_units
            if begin >= max(low, self._first_unit) and begin + self._day_units <= high:
                total += self._whole_day(begin)
            else:
                spans = ((max(begin + first, low), min(begin + last, high)) for first, last in self._spans)
                total += sum(self._steps_in(first, last) for first, last in spans)
            day = self._next_day(day + 1)
        return total

    def _whole_day(self, begin: int) -> int:
        """Units of the series in the day that begins with this unit; days of equal phase have equal counts."""
        phase = (begin - self._first_unit) % self._step
        known = self._by_phase.get(phase)
        if known is None:
            if len(self._by_phase) >= _PHASES_KEPT_MAX:
                self._by_phase.clear()
            known = self._by_phase[phase] = sum(self._steps_in(begin + low, begin + high) for low, high in self._spans)
        return known

    def times_of_day(self) -> tuple[int, ...]:
        """The seconds of a day the series has when its step divides the day, days left aside."""
        phase = self._first_unit % self._step
        return tuple(
            unit * self._unit_s + offset
            for low, high in self._spans
            for unit in range(low + (phase - low) % self._step, high, self._step)
            for offset in self._offsets
        )

    def _next_day(self, day: int) -> int | None:
        return day if self._days is None else self._days.at_or_after(day)

    def _steps_in(self, low: int, high: int) -> int:
        low, high = max(low - self._first_unit, 0), max(high - self._first_unit, 0)
        return max(0, -(-high // self._step) - -(-low // self._step))


def merged_spans(units: list[int], size: int) -> tuple[tuple[int, int], ...]:
    """Rising numbers, each a stretch of `size` smaller units, as rising, disjoint [low, high) of those."""
    spans: list[tuple[int, int]] = []
    for unit in units:
        low, high = unit * size, (unit + 1) * size
        if spans and spans[-1][1] == low:
            spans[-1] = (spans[-1][0], high)
        else:
            spans.append((low, high))
    return tuple(spans)

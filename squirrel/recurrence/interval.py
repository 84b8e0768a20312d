"""`every`: seconds, minutes and hours of elapsed time; days and weeks of wall time; months and years that keep their day."""

from __future__ import annotations

from squirrel.model.when import Every
from squirrel.recurrence.days import date_of, day_of, is_leap, month_lengths
from squirrel.recurrence.limits import INTERVAL_MAX
from squirrel.recurrence.problem import RuleError
from squirrel.recurrence.series import DAY_SECONDS, LOCAL_MAX
from squirrel.recurrence.zone import UTC_MAX

ELAPSED_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
WALL_DAYS = {"day": 1, "week": 7}
WALL_MONTHS = {"month": 1, "year": 12}
INTERVALS = (*ELAPSED_SECONDS, *WALL_DAYS, *WALL_MONTHS)


def check_every(every: Every) -> None:
    """RuleError when the interval or its value is none."""
    if every.interval not in INTERVALS:
        raise RuleError(
            "when.every.interval", f"{every.interval[:40]!r} is not an interval", f"Use one of {', '.join(INTERVALS)}"
        )
    if not 1 <= every.value <= INTERVAL_MAX:
        raise RuleError("when.every.value", f"{every.value} is out of range", f"Write 1 to {INTERVAL_MAX}")


class ElapsedSteps:
    """Instants `step_s` apart, index `first_index` being the first: UTC seconds, blind to every clock change."""

    def __init__(self, base_s: int, step_s: int, first_index: int) -> None:
        self._base_s = base_s
        self._step_s = step_s
        self._first_index = first_index

    def at_or_after(self, utc_s: int) -> int | None:
        index = max(-(-(utc_s - self._base_s) // self._step_s), self._first_index)
        found = self._base_s + index * self._step_s
        return found if found <= UTC_MAX else None


class WallDays:
    """The same wall time every `step` days."""

    def __init__(self, base_s: int, step: int, first_index: int) -> None:
        self._base_s = base_s
        self._step_s = step * DAY_SECONDS
        self._first_index = first_index

    def at_or_after(self, local_s: int) -> int | None:
        index = max(-(-(local_s - self._base_s) // self._step_s), self._first_index)
        found = self._base_s + index * self._step_s
        return found if found <= LOCAL_MAX else None


class WallMonths:
    """The same day of the month and wall time every `step` months, the last day where the month is shorter.

    Each month is computed from the start, so a start on the 31st comes back to the 31st after February.
    """

    def __init__(self, base_s: int, step: int, first_index: int) -> None:
        day, self._second = divmod(base_s, DAY_SECONDS)
        start = date_of(day)
        self._base_month = start.year * 12 + start.month - 1
        self._month_day = start.day
        self._step = step
        self._first_index = first_index

    def at_or_after(self, local_s: int) -> int | None:
        if local_s > LOCAL_MAX:
            return None
        asked = date_of(local_s // DAY_SECONDS)
        months = asked.year * 12 + asked.month - 1 - self._base_month
        index = max(months // self._step, self._first_index)
        for each in (index, index + 1):
            found = self._slot(each)
            if found is None or found >= local_s:
                return found
        raise AssertionError("the second month is after the one asked about")

    def _slot(self, index: int) -> int | None:
        year, month = divmod(self._base_month + index * self._step, 12)
        if year > 9998:
            return None
        length = month_lengths(is_leap(year))[month]
        first = day_of(date_of(0).replace(year=year, month=month + 1))
        return (first + min(self._month_day, length) - 1) * DAY_SECONDS + self._second

"""What cron, RRULE and intervals have in common: a rising series of local times, before any time zone."""

from __future__ import annotations

from typing import Protocol

# Local seconds count from 1970-01-01T00:00 on the wall clock. Days are counted from the same day.
DAY_SECONDS = 86_400
EPOCH_ORDINAL = 719_163
# Series end here, three days before year 9999 does, so that every slot has an instant in every zone.
LOCAL_MAX = 253_402_300_800 - 10 * DAY_SECONDS
LOCAL_MIN = -62_135_596_800 + 10 * DAY_SECONDS
DAY_MAX = LOCAL_MAX // DAY_SECONDS
DAY_MIN = LOCAL_MIN // DAY_SECONDS


class LocalSeries(Protocol):
    """Local times in local seconds, strictly rising, possibly endless."""

    def at_or_after(self, local_s: int) -> int | None:
        """The first local time not before this one; None when there is none."""
        ...


class CountedSeries(LocalSeries, Protocol):
    """A series that can be counted without walking it: what COUNT needs."""

    @property
    def first_s(self) -> int:
        """Local seconds before which the series has nothing (DTSTART)."""
        ...

    def count(self, low_s: int, high_s: int) -> int:
        """How many local times of the series are in [low_s, high_s)."""
        ...


class BoundedSeries:
    """A series up to and including one local time."""

    def __init__(self, series: LocalSeries, last_s: int) -> None:
        self._series = series
        self._last_s = last_s

    def at_or_after(self, local_s: int) -> int | None:
        found = self._series.at_or_after(local_s)
        return found if found is not None and found <= self._last_s else None

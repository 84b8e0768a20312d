"""Where a COUNT ends, found by counting stretches of time and not runs.

RFC 5545, 3.3.10: a local time that does not exist is not counted, where the policy skips it; and a rule that runs in both
passes of a repeated hour counts both. Under every other policy local times are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

from squirrel.recurrence.dst import Policy, ZonedSeries
from squirrel.recurrence.limits import COUNT_YEARS_MAX
from squirrel.recurrence.series import LOCAL_MAX, BoundedSeries, CountedSeries
from squirrel.recurrence.zone import CHANGE_REACH_SECONDS, UTC_MAX, UTC_MIN, Zone

_DAY_SECONDS = 86_400
_YEAR_SECONDS = 366 * _DAY_SECONDS
# Below this, walking is quicker than counting.
_WALKED_MAX = 100


class Instants(Protocol):
    """Rising instants in UTC seconds, possibly endless."""

    def at_or_after(self, utc_s: int) -> int | None:
        """The first instant not before this one; None when there is none."""
        ...


class UntilInstants:
    """Instants up to and including one."""

    def __init__(self, instants: Instants, last_s: int) -> None:
        self._instants = instants
        self._last_s = last_s

    def at_or_after(self, utc_s: int) -> int | None:
        found = self._instants.at_or_after(utc_s)
        return found if found is not None and found <= self._last_s else None


Counting = Generator[int, None, int | None]
"""Counts on, stretch by stretch: yields how far it came, returns where the COUNT ends, or None when it never does."""


class CountedInstants:
    """The first runs of a series. The end is looked for only as far as somebody asks: a count may be centuries away."""

    def __init__(self, zoned: ZonedSeries, counting: Counting, ended: Callable[[int], Instants], margin_s: int) -> None:
        """`ended` makes the instants of the end; the count is trusted up to `margin_s` before where it has come."""
        self._instants: Instants = zoned
        self._counting: Counting | None = counting
        self._ended = ended
        self._counted_s = UTC_MIN
        self._margin_s = margin_s

    def at_or_after(self, utc_s: int) -> int | None:
        """See Instants."""
        found = self._instants.at_or_after(utc_s)
        while found is not None and self._counting is not None and self._counted_s <= found + self._margin_s:
            try:
                self._counted_s = next(self._counting)
            except StopIteration as end:
                self._counting = None
                if end.value is not None:
                    self._instants = self._ended(end.value)
                    found = self._instants.at_or_after(utc_s)
        return found


def counted(series: CountedSeries, zone: Zone, policy: Policy, count: int) -> Instants:
    """The first `count` runs of a series in a zone; endless when they are not reached in 1,000 years."""
    zoned = ZonedSeries(series, zone, policy)
    if policy.gap != "skip" and policy.overlap != "both":
        return CountedInstants(
            zoned,
            _nth_local(series, count),
            lambda last_local_s: ZonedSeries(BoundedSeries(series, last_local_s), zone, policy),
            2 * CHANGE_REACH_SECONDS,  # local seconds against instants
        )
    last_s = _walked(zoned, zone.utc(series.first_s) - _DAY_SECONDS, count)
    if last_s is not None or count <= _WALKED_MAX:
        return zoned if last_s is None else UntilInstants(zoned, last_s)
    return CountedInstants(
        zoned, _nth_run(series, zone, policy, count), lambda last_s: UntilInstants(zoned, last_s), _DAY_SECONDS
    )


def _walked(zoned: ZonedSeries, utc_s: int, count: int) -> int | None:
    """The count-th run by taking one after the other, for small counts."""
    if count > _WALKED_MAX:
        return None
    found: int | None = utc_s
    for _ in range(count):
        found = zoned.at_or_after(utc_s)
        if found is None:
            return None
        utc_s = found + 1
    return found


def _nth_local(series: CountedSeries, count: int) -> Counting:
    low = series.first_s
    end = min(low + COUNT_YEARS_MAX * _YEAR_SECONDS, LOCAL_MAX)
    while low < end:
        high = min(low + _YEAR_SECONDS, end)
        found = series.count(low, high)
        if count <= found:
            return _nth_between(series, low, high, count)
        count -= found
        low = high
        yield low
    return None


def _nth_between(series: CountedSeries, low: int, high: int, count: int) -> int:
    """The count-th local time of [low, high), which has that many."""
    begin = low
    while high - low > 1:
        middle = (low + high) // 2
        if series.count(begin, middle) < count:
            low = middle
        else:
            high = middle
    return low


def _nth_run(series: CountedSeries, zone: Zone, policy: Policy, count: int) -> Counting:
    utc_s = min(zone.utc(series.first_s), zone.utc(series.first_s - _DAY_SECONDS) + _DAY_SECONDS)
    end = min(utc_s + COUNT_YEARS_MAX * _YEAR_SECONDS, UTC_MAX)
    while utc_s < end:
        piece = zone.piece(utc_s)
        begin = max(piece.start, utc_s)
        low, high = begin + piece.offset, piece.end + piece.offset
        if begin == piece.start and piece.before < piece.offset and policy.gap != "skip":
            gap = series.count(begin + piece.before, low)
            if count <= gap:
                return _nth_between(series, begin + piece.before, low, count) - piece.before
            count -= gap
        if begin == piece.start and piece.before > piece.offset and policy.overlap == "first":
            low = begin + piece.before
        if piece.after < piece.offset and policy.overlap == "last":
            high = piece.end + piece.after
        found = series.count(low, high) if high > low else 0
        if count <= found:
            return _nth_between(series, low, high, count) - piece.offset
        count -= found
        utc_s = piece.end
        yield utc_s
    return None

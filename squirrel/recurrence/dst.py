"""Puts a local series on the line of instants: the clock-change policy.

A piece of a zone holds the local times [start + offset, end + offset). Where the clock went forward at its start, the local
times in between never were (the gap); where it went back, the first of its local times are the second time round (the
overlap). Source: shared/api.md, `dst`; RFC 5545 section 3.3.5 for `shift`; Debian cron(8) for `next`.
"""

from __future__ import annotations

from typing import NamedTuple

from squirrel.recurrence.series import LocalSeries
from squirrel.recurrence.zone import CHANGE_REACH_SECONDS, UTC_MAX, UTC_MIN, Piece, Zone


class Policy(NamedTuple):
    """`gap` is skip, shift or next; `overlap` is first, last or both."""

    gap: str
    overlap: str


CRON_POLICY = Policy("next", "first")
CALENDAR_POLICY = Policy("shift", "first")
ELAPSED_POLICY = Policy("skip", "both")


class ZonedSeries:
    """A local series in a zone under a policy. Immutable; one question costs microseconds."""

    def __init__(self, series: LocalSeries, zone: Zone, policy: Policy) -> None:
        self.series = series
        self.zone = zone
        self.policy = policy

    def at_or_after(self, utc_s: int) -> int | None:
        """The first instant not before `utc_s`, in UTC seconds; None when there is none."""
        utc_s = max(utc_s, UTC_MIN)
        while utc_s < UTC_MAX:
            piece = self.zone.piece(utc_s)
            found, local_s = self._in_piece(piece, utc_s)
            if found is not None:
                return found
            if piece.after < piece.offset and piece.end - utc_s <= piece.offset - piece.after:
                utc_s = piece.end
            elif local_s is None:
                return None
            else:
                # Nothing lies before local_s, so nothing but its own neighbourhood needs a look.
                utc_s = max(piece.end, local_s - piece.offset - CHANGE_REACH_SECONDS)
        return None

    def _in_piece(self, piece: Piece, utc_s: int) -> tuple[int | None, int | None]:
        """The first instant in the piece from utc_s on, and the next regular local time wherever it is."""
        gap_found = self._from_gap(piece, utc_s) if piece.before < piece.offset else None
        from_local = utc_s + piece.offset
        if piece.before > piece.offset and self.policy.overlap == "first":
            from_local = max(from_local, piece.start + piece.before)
        local_s = self.series.at_or_after(from_local)
        end_local = piece.end + piece.offset
        if piece.after < piece.offset and self.policy.overlap == "last":
            end_local = piece.end + piece.after
        if local_s is None or local_s >= end_local:
            return gap_found, local_s
        found = local_s - piece.offset
        return (found if gap_found is None else min(found, gap_found)), local_s

    def _from_gap(self, piece: Piece, utc_s: int) -> int | None:
        """The instant given to the first local time of the gap at the piece's start that is still to come."""
        gap = self.policy.gap
        low, high = piece.start + piece.before, piece.start + piece.offset
        if gap == "next" and utc_s <= piece.start:
            local_s = self.series.at_or_after(low)
            return piece.start if local_s is not None and local_s < high else None
        if gap == "shift" and utc_s < piece.start + piece.offset - piece.before:
            local_s = self.series.at_or_after(max(low, utc_s + piece.before))
            return local_s - piece.before if local_s is not None and local_s < high else None
        return None


class _One(NamedTuple):
    """A series of one local time."""

    local_s: int

    def at_or_after(self, local_s: int) -> int | None:
        return self.local_s if local_s <= self.local_s else None


def instants_of(local_s: int, zone: Zone, policy: Policy) -> tuple[int, ...]:
    """The instants one local time has in a zone under a policy: none, one, or both of a repeated hour."""
    piece = zone.piece(local_s)
    utc_s = local_s - piece.offset
    if piece.start + CHANGE_REACH_SECONDS <= utc_s < piece.end - CHANGE_REACH_SECONDS:
        return (utc_s,)  # far from any change: most dates of a long list
    zoned = ZonedSeries(_One(local_s), zone, policy)
    first = zoned.at_or_after(local_s - 2 * CHANGE_REACH_SECONDS)
    if first is None:
        return ()
    second = zoned.at_or_after(first + 1)
    return (first,) if second is None else (first, second)

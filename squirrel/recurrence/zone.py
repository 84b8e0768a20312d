"""A time zone as a line of pieces with one offset each, read from zoneinfo and cut at the clock changes.

zoneinfo answers "which offset now" but not "when does it change"; a rule needs the second to put local times
on the line without trying them one by one.
Offsets are sampled and the changes bisected once per chunk of about a year, then kept.
Seconds everywhere are whole seconds from the epoch: UTC ones, or local ones (the wall clock read as if it were UTC).
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from typing import NamedTuple
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped, unused-ignore]

from squirrel.recurrence.zone_names import refuse_zone

# 2^25 s is 388 days.
_CHUNK_BITS = 25
_CHUNK_SECONDS = 1 << _CHUNK_BITS
# The longest clock change ever is 24 h (Samoa, 2011): within 3 days of a change its effects are over.
CHANGE_REACH_SECONDS = 3 * 86_400
# The shortest-lived offset in the IANA data lasted 4 days (Freetown, 1939).
_SAMPLE_SECONDS = 3 * 86_400
# zoneinfo works in years 1 to 9999; a day is kept clear of both ends.
UTC_MIN = -62_135_596_800 + 86_400 * 3
UTC_MAX = 253_402_300_800 - 86_400 * 4


class Piece(NamedTuple):
    """UTC seconds [start, end) with one offset; `before` and `after` are the offsets on the other sides of its ends."""

    start: int
    end: int
    offset: int
    before: int
    after: int


class Zone:
    """One IANA zone; `piece(utc_s)` is O(log n) after the first question about a year."""

    def __init__(self, name: str, info: ZoneInfo) -> None:
        self.name = name
        self.info = info
        self._chunks: dict[int, tuple[list[int], list[Piece]]] = {}

    def offset(self, utc_s: int) -> int:
        """Seconds east of UTC at an instant."""
        moment = datetime.fromtimestamp(min(max(utc_s, UTC_MIN), UTC_MAX), self.info)
        delta = moment.utcoffset()
        assert delta is not None
        return delta.days * 86_400 + delta.seconds

    def piece(self, utc_s: int) -> Piece:
        """The piece that holds the instant, cut where its chunk was; real clock changes have before != offset."""
        chunk = utc_s >> _CHUNK_BITS
        known = self._chunks.get(chunk)
        if known is None:
            known = self._chunks[chunk] = self._cut(chunk)
        starts, pieces = known
        return pieces[max(bisect_right(starts, utc_s) - 1, 0)]

    def _cut(self, chunk: int) -> tuple[list[int], list[Piece]]:
        begin = (chunk << _CHUNK_BITS) - CHANGE_REACH_SECONDS
        end = ((chunk + 1) << _CHUNK_BITS) + CHANGE_REACH_SECONDS
        changes: list[tuple[int, int, int]] = []
        low, low_offset = begin, self.offset(begin)
        while low < end:
            high = min(low + _SAMPLE_SECONDS, end)
            high_offset = self.offset(high)
            if high_offset != low_offset:
                changes.append((self._change_between(low, high, low_offset), low_offset, high_offset))
            low, low_offset = high, high_offset
        starts = [begin] + [at for at, _, _ in changes]
        ends = [at for at, _, _ in changes] + [end]
        offsets = [changes[0][1] if changes else low_offset] + [new for _, _, new in changes]
        befores = [offsets[0]] + [old for _, old, _ in changes]
        afters = [new for _, _, new in changes] + [offsets[-1]]
        pieces = [Piece(*row) for row in zip(starts, ends, offsets, befores, afters, strict=True)]
        return starts, pieces

    def _change_between(self, low: int, high: int, low_offset: int) -> int:
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset(middle) == low_offset:
                low = middle
            else:
                high = middle
        return high

    def local(self, utc_s: int) -> int:
        """The wall clock at an instant, as local seconds."""
        return utc_s + self.piece(utc_s).offset

    def utc(self, local_s: int) -> int:
        """The instant of one local time, RFC 5545's way: the first of two, and over a gap with the offset before it."""
        piece = self.piece(local_s - self.offset(local_s) - CHANGE_REACH_SECONDS)
        while True:
            limit = piece.end + max(piece.offset, piece.after)
            if local_s < limit or piece.end >= UTC_MAX:
                return local_s - piece.offset
            piece = self.piece(piece.end)


@lru_cache(maxsize=1024)
def zone_named(name: str, field: str) -> Zone:
    """The zone of an IANA name; RuleError(field) offers the right name for abbreviations, offsets and misspellings."""
    problem = refuse_zone(name, field)
    if problem is not None:
        raise problem
    return _zone(name)


@lru_cache(maxsize=1024)
def _zone(name: str) -> Zone:
    # The packaged data, not the machine's: its version is known, reported, and the same in every process of a cluster.
    with resources.files(tzdata).joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return Zone(name, ZoneInfo.from_file(data, key=name))


def tzdata_version() -> str:
    """The version of the time zone data in use, as IANA names it: `2026b`."""
    return str(tzdata.IANA_VERSION)


def utc_text(utc_s: int) -> str:
    """An instant as `2027-03-14T07:00:00Z`, for sentences."""
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""A slow, plain reading of the clock-change policy, to check the fast one against: local times in, instants out.

Shares nothing with squirrel.recurrence but the time zone data.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from squirrel.recurrence.zone import zone_named

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  local times are naive

# Clock changes near these UTC days: gaps and overlaps of 30 minutes, an hour, a day; at midnight; negative DST.
CHANGES = tuple(
    (zone, datetime.fromisoformat(day))
    for zone, day in (
        ("Africa/Casablanca", "2025-02-23"),
        ("Africa/Casablanca", "2025-04-06"),
        ("America/New_York", "2027-03-14"),
        ("America/New_York", "2027-11-07"),
        ("America/Sao_Paulo", "2018-11-04"),
        ("America/Sao_Paulo", "2018-02-18"),
        ("Asia/Beirut", "2027-03-27"),
        ("Asia/Kathmandu", "1985-12-31"),
        ("Australia/Lord_Howe", "2027-04-03"),
        ("Australia/Lord_Howe", "2027-10-02"),
        ("Europe/Dublin", "2027-10-31"),
        ("Europe/Dublin", "2027-03-28"),
        ("Pacific/Apia", "2011-12-30"),
        ("Pacific/Kwajalein", "1993-08-21"),
    )
)


def info(name: str) -> ZoneInfo:
    """The same data the rules use: the packaged one."""
    return zone_named(name, "test").info


def instants(local: datetime, zone: ZoneInfo, gap: str, overlap: str) -> list[int]:
    """Epoch seconds of a naive local time in a zone."""
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    exists = [each for each in (first, second) if each.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local]
    utc = sorted({int(each.astimezone(UTC).timestamp()) for each in exists})
    if len(utc) == 2:
        return {"first": utc[:1], "last": utc[1:], "both": utc}[overlap]
    if utc or gap == "skip":
        return utc
    shifted = int(first.astimezone(UTC).timestamp())
    if gap == "shift":
        return [shifted]
    # `next`: walk back to the second at which the offset changed.
    low, high = shifted - 2 * 86_400, shifted
    before = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return [high]


def mapped(locals_: list[datetime], zone: ZoneInfo, gap: str, overlap: str, from_s: int, to_s: int) -> list[int]:
    """Epoch seconds in [from, to) of many local times, rising, each once."""
    found = {each for local in locals_ for each in instants(local, zone, gap, overlap)}
    return sorted(each for each in found if from_s <= each < to_s)


def window(zone: ZoneInfo, from_s: int, to_s: int) -> tuple[datetime, datetime]:
    """Local times outside which nothing maps into [from, to)."""
    low = datetime.fromtimestamp(from_s, zone).replace(tzinfo=None) - timedelta(days=2)
    return low, datetime.fromtimestamp(to_s, zone).replace(tzinfo=None) + timedelta(days=2)

"""Instants: RFC 3339 text at the doors, epoch milliseconds everywhere inside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from squirrel.model.limits import INSTANT_MS_MAX

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:([Zz])|([+-])(\d\d):?(\d\d))?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class InstantError(ValueError):
    """The text is no instant; the message says why and shows one."""


def parse_instant(text: object) -> int:
    """RFC 3339 text -> epoch ms (finer digits are cut). Refuses naive local times: their zone would be a guess."""
    if not isinstance(text, str):
        raise InstantError("must be a string such as 2027-02-01T10:00:00Z")
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise InstantError("is not an RFC 3339 instant; write it as 2027-02-01T10:00:00Z or with an offset, +01:00")
    year, month, day, hour, minute, second, fraction, zulu, sign, zone_hours, zone_minutes = match.groups()
    if zulu is None and sign is None:
        raise InstantError("has no zone, so it names no instant; add Z or an offset such as +01:00")
    offset = timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
    try:
        if offset >= timedelta(hours=24) or int(zone_minutes or 0) > 59:
            raise ValueError("offset must be below 24:00")
        zone = timezone(-offset if sign == "-" else offset)
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=zone)
    except ValueError as error:
        raise InstantError(f"is not a date that exists ({error})") from None
    instant_ms = (moment - _EPOCH) // _MILLISECOND + int(((fraction or "") + "000")[:3])
    if not 0 <= instant_ms <= INSTANT_MS_MAX:
        raise InstantError("must lie between 1970-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z")
    return instant_ms


@lru_cache(maxsize=4096)
def _second_text(epoch_second: int) -> str:
    return (_EPOCH + timedelta(seconds=epoch_second)).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=1024)  # a run's slot and due are one instant, and thousands share it
def format_instant(instant_ms: int) -> str:
    """Epoch ms -> `2027-02-01T10:00:00.000Z`: UTC, always three digits."""
    second, millisecond = divmod(instant_ms, 1000)
    return f"{_second_text(second)}.{millisecond:03d}Z"


def format_instant_or_none(instant_ms: int | None) -> str | None:
    """As `format_instant`, and None for None."""
    return None if instant_ms is None else format_instant(instant_ms)

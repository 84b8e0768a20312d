"""Which time zone names are accepted, and what to offer for one that is not."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources

from squirrel.recurrence.problem import RuleError

# Abbreviations mean different zones to different people, and none of them says when its clocks change.
_ABBREVIATIONS = {
    "ACST": "Australia/Adelaide",
    "AEDT": "Australia/Sydney",
    "AEST": "Australia/Sydney",
    "AKDT": "America/Anchorage",
    "AKST": "America/Anchorage",
    "AST": "America/Halifax",
    "AWST": "Australia/Perth",
    "BRT": "America/Sao_Paulo",
    "BST": "Europe/London",
    "CDT": "America/Chicago",
    "CEST": "Europe/Berlin",
    "CET": "Europe/Berlin",
    "CST": "America/Chicago",
    "EDT": "America/New_York",
    "EEST": "Europe/Athens",
    "EET": "Europe/Athens",
    "EST": "America/New_York",
    "HKT": "Asia/Hong_Kong",
    "HST": "Pacific/Honolulu",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
    "MDT": "America/Denver",
    "MEST": "Europe/Berlin",
    "MET": "Europe/Berlin",
    "MSK": "Europe/Moscow",
    "MST": "America/Denver",
    "NST": "America/St_Johns",
    "NZDT": "Pacific/Auckland",
    "NZST": "Pacific/Auckland",
    "PDT": "America/Los_Angeles",
    "PST": "America/Los_Angeles",
    "SGT": "Asia/Singapore",
    "WEST": "Europe/Lisbon",
    "WET": "Europe/Lisbon",
}
# What Windows and Outlook write.
_WINDOWS = {
    "central european standard time": "Europe/Warsaw",
    "central standard time": "America/Chicago",
    "china standard time": "Asia/Shanghai",
    "e. south america standard time": "America/Sao_Paulo",
    "eastern standard time": "America/New_York",
    "gmt standard time": "Europe/London",
    "india standard time": "Asia/Kolkata",
    "mountain standard time": "America/Denver",
    "pacific standard time": "America/Los_Angeles",
    "romance standard time": "Europe/Paris",
    "tokyo standard time": "Asia/Tokyo",
    "w. europe standard time": "Europe/Berlin",
}
_OFFSET = re.compile(r"^(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?$", re.IGNORECASE)
_SHOWN_CHARS_MAX = 60


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every accepted name: the IANA zones and links, without bare abbreviations."""
    listed = resources.files("tzdata").joinpath("zones").read_text(encoding="ascii").split()
    return frozenset(listed) - _ABBREVIATIONS.keys() - {"Factory"}


@lru_cache(maxsize=1)
def _folded() -> dict[str, str]:
    return {name.casefold(): name for name in sorted(zone_names())}


def refuse_zone(name: str, field: str) -> RuleError | None:
    """None for an accepted name, else the error that offers another; bounded work for any text."""
    if name in zone_names():
        return None
    shown = name[:_SHOWN_CHARS_MAX]
    if name.upper() in _ABBREVIATIONS:
        other = _ABBREVIATIONS[name.upper()]
        return RuleError(
            field,
            f"{shown!r} is an abbreviation, which does not say when clocks change",
            f"Write an IANA name, such as {other!r}",
        )
    offset = _OFFSET.match(shown)
    if offset:
        return RuleError(field, f"{shown!r} is an offset, not a zone", _offset_fix(offset))
    close = _folded().get(shown.casefold()) or _WINDOWS.get(shown.casefold())
    if close is None:
        near = get_close_matches(shown.casefold().replace(" ", "_"), list(_folded()), n=1, cutoff=0.75)
        close = _folded()[near[0]] if near else None
    fix = f"Did you mean {close!r}?" if close else "Write an IANA name, such as 'Europe/Berlin' or 'UTC'"
    return RuleError(field, f"{shown!r} is no IANA zone", fix)


def _offset_fix(offset: re.Match[str]) -> str:
    hours, minutes = int(offset[2]), int(offset[3] or 0)
    if minutes or hours > 12:
        return "Write an IANA name, such as 'Asia/Kolkata'"
    # POSIX signs: Etc/GMT-2 is two hours ahead of UTC.
    sign = "-" if offset[1] == "+" else "+"
    name = f"Etc/GMT{sign}{hours}" if hours else "UTC"
    return f"Write an IANA name that follows its clock changes, or {name!r} for a fixed offset"

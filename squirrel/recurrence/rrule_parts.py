"""One RRULE value to checked parts: what RFC 5545, 3.3.10 allows, and nothing it forbids."""

from __future__ import annotations

import re
from typing import NamedTuple

from squirrel.recurrence.limits import BY_VALUES_MAX, INTERVAL_MAX, RRULE_COUNT_MAX
from squirrel.recurrence.rrule_text import Moment, parse_moment, refuse

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
SUB_DAILY = frozenset(("HOURLY", "MINUTELY", "SECONDLY"))
_NUMBER = re.compile(r"^[+-]?\d{1,9}$")
_WEEKDAY = re.compile(r"^([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)$")
_SHOWN_CHARS_MAX = 40
# part: lowest, highest, whether the negatives count from the end (0 is then no value)
_BOUNDS = {
    "BYSECOND": (0, 60, False),
    "BYMINUTE": (0, 59, False),
    "BYHOUR": (0, 23, False),
    "BYMONTHDAY": (1, 31, True),
    "BYYEARDAY": (1, 366, True),
    "BYWEEKNO": (1, 53, True),
    "BYMONTH": (1, 12, False),
    "BYSETPOS": (1, 366, True),
}
# RFC 5545, the table and the MUST NOTs of 3.3.10: where a part may not stand.
_FORBIDDEN = {
    "BYWEEKNO": frozenset(FREQUENCIES) - {"YEARLY"},
    "BYYEARDAY": frozenset(("DAILY", "WEEKLY", "MONTHLY")),
    "BYMONTHDAY": frozenset(("WEEKLY",)),
}
_OFF_STANDARD = {
    "BYEASTER": "it is no part of RFC 5545",
    "RSCALE": "other calendars (RFC 7529) are not supported",
    "SKIP": "RFC 7529 is not supported",
}


class Weekday(NamedTuple):
    """Monday is 0; `position` is the n of `2MO` or `-1FR`, 0 meaning every one."""

    position: int
    weekday: int


class RuleParts(NamedTuple):
    """A checked RRULE. Empty tuples are parts that are absent; numbers are rising and without repeats."""

    freq: str
    interval: int
    run_count: int | None
    until: Moment | None
    week_start: int
    by_second: tuple[int, ...]
    by_minute: tuple[int, ...]
    by_hour: tuple[int, ...]
    by_day: tuple[Weekday, ...]
    by_month_day: tuple[int, ...]
    by_year_day: tuple[int, ...]
    by_week_no: tuple[int, ...]
    by_month: tuple[int, ...]
    by_set_pos: tuple[int, ...]


def parse_rule_parts(text: str) -> RuleParts:
    """Reads `FREQ=...;...`; RuleError names the part that is wrong or may not stand there."""
    raw = _split(text)
    freq = raw.pop("FREQ", "")
    if freq not in FREQUENCIES:
        refuse("FREQ", f"{freq[:_SHOWN_CHARS_MAX]!r} is not a frequency", f"Use one of {', '.join(FREQUENCIES)}")
    if "COUNT" in raw and "UNTIL" in raw:
        refuse("COUNT", "it may not stand beside UNTIL", "Keep one of the two")
    for part, frequencies in _FORBIDDEN.items():
        if part in raw and freq in frequencies:
            allowed = [each for each in FREQUENCIES if each not in frequencies]
            refuse(part, f"RFC 5545 does not allow it with FREQ={freq}", f"It goes with {', '.join(allowed)}")
    if "BYSETPOS" in raw and not any(part.startswith("BY") and part != "BYSETPOS" for part in raw):
        refuse("BYSETPOS", "it needs another BY part to choose from", "Add one, such as BYDAY")
    by_day = _weekdays(raw["BYDAY"], freq, "BYWEEKNO" in raw) if "BYDAY" in raw else ()
    week_start = raw.get("WKST", "MO")
    if week_start not in WEEKDAYS:
        refuse("WKST", f"{week_start[:_SHOWN_CHARS_MAX]!r} is not a weekday", f"Use one of {', '.join(WEEKDAYS)}")
    numbers = {part: _numbers(part, raw[part]) if part in raw else () for part in _BOUNDS}
    return RuleParts(
        freq=freq,
        interval=_whole("INTERVAL", raw.get("INTERVAL", "1"), INTERVAL_MAX),
        run_count=_whole("COUNT", raw["COUNT"], RRULE_COUNT_MAX) if "COUNT" in raw else None,
        until=parse_moment("UNTIL", raw["UNTIL"], {}) if "UNTIL" in raw else None,
        week_start=WEEKDAYS.index(week_start),
        by_second=tuple(sorted({min(each, 59) for each in numbers["BYSECOND"]})),
        by_minute=numbers["BYMINUTE"],
        by_hour=numbers["BYHOUR"],
        by_day=by_day,
        by_month_day=numbers["BYMONTHDAY"],
        by_year_day=numbers["BYYEARDAY"],
        by_week_no=numbers["BYWEEKNO"],
        by_month=numbers["BYMONTH"],
        by_set_pos=numbers["BYSETPOS"],
    )


def _split(text: str) -> dict[str, str]:
    known = {*_BOUNDS, "FREQ", "COUNT", "UNTIL", "INTERVAL", "WKST", "BYDAY"}
    found: dict[str, str] = {}
    for item in text.rstrip(";").split(";", 40):
        part, _, value = item.partition("=")
        part = part.upper()
        if part in _OFF_STANDARD:
            refuse(part, _OFF_STANDARD[part], "Leave it out")
        if part not in known:
            refuse(
                part[:_SHOWN_CHARS_MAX] or "RRULE", "this is no part of a rule", f"Known are {', '.join(sorted(known))}"
            )
        if part in found:
            refuse(part, "it is given twice", "Keep one")
        if not value:
            refuse(part, "it has no value", "Give it one or leave it out")
        if value.count(",") >= BY_VALUES_MAX:
            refuse(part, f"it has {value.count(',') + 1} values, at most {BY_VALUES_MAX} are read", "Leave most out")
        found[part] = value.upper()
    return found


def _whole(part: str, text: str, high: int) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:19]) == 0:
        refuse(part, f"{text[:_SHOWN_CHARS_MAX]!r} is not a whole number from 1", "Write a whole number")
    if len(text) > 18 or int(text) > high:
        if part == "INTERVAL":
            refuse(part, f"{text[:_SHOWN_CHARS_MAX]} is above the limit of {high}", "Choose a longer FREQ")
        refuse(part, f"{text[:_SHOWN_CHARS_MAX]} is too many, at most {high} are counted", "Use UNTIL, or leave it out")
    return int(text)


def _numbers(part: str, text: str) -> tuple[int, ...]:
    low, high, signed = _BOUNDS[part]
    found: set[int] = set()
    for item in text.split(","):
        number = int(item) if _NUMBER.match(item) else None
        if number is None or not low <= (abs(number) if signed else number) <= high:
            negative = f" or -{high} to -{low}" if signed else ""
            refuse(part, f"{item[:_SHOWN_CHARS_MAX]!r} is out of range", f"Write {low} to {high}{negative}")
        found.add(number)
    return tuple(sorted(found))


def _weekdays(text: str, freq: str, with_week_no: bool) -> tuple[Weekday, ...]:
    found: set[Weekday] = set()
    for item in text.split(","):
        match = _WEEKDAY.match(item)
        if match is None:
            refuse("BYDAY", f"{item[:_SHOWN_CHARS_MAX]!r} is not a weekday", "Write MO, or 2MO, or -1FR")
        position = int(match[1] or 0)
        if match[1] and (freq not in ("YEARLY", "MONTHLY") or with_week_no):
            beside = "BYWEEKNO" if with_week_no else f"FREQ={freq}"
            refuse("BYDAY", f"RFC 5545 does not allow the number of {item!r} with {beside}", f"Write {match[2]!r}")
        if match[1] and not 1 <= abs(position) <= 53:
            refuse("BYDAY", f"{item!r} is out of range", "Write 1 to 53 or -53 to -1 before the weekday")
        found.add(Weekday(position, WEEKDAYS.index(match[2])))
    return tuple(sorted(found))

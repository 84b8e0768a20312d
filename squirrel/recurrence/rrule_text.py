"""iCalendar recurrence text to values: property lines, date-times, and the parts of one RRULE (RFC 5545, 3.3.10 and 3.8.5)."""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple, NoReturn

from squirrel.recurrence.limits import EXDATES_MAX, RDATES_MAX, RRULE_LINES_MAX, RULE_CHARS_MAX
from squirrel.recurrence.problem import RuleError
from squirrel.recurrence.series import DAY_SECONDS, EPOCH_ORDINAL
from squirrel.recurrence.zone import Zone, zone_named

FIELD = "when.rrule"
_PROPERTY = re.compile(r"^(DTSTART|RRULE|RDATE|EXDATE|EXRULE|DTEND|DURATION|FREQ)\b", re.IGNORECASE)
_MOMENT = re.compile(r"^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z)?)?$", re.IGNORECASE)
_SHOWN_CHARS_MAX = 40
UTC_ZONE = "UTC"


class Moment(NamedTuple):
    """A DATE or DATE-TIME as written: local seconds, and the zone that was said (None when floating)."""

    local_s: int
    zone: Zone | None
    is_date: bool


class RuleText(NamedTuple):
    """The lines of one recurrence set; `rules` are the RRULE values as written."""

    start: Moment | None
    rules: tuple[str, ...]
    rdates: tuple[Moment, ...]
    exdates: tuple[Moment, ...]


def refuse(part: str, reason: str, fix: str) -> NoReturn:
    """Raises the error that names the part of the rule."""
    raise RuleError(FIELD, f"{part}: {reason}", fix)


def too_long(text: str) -> RuleError:
    """What to say of a text above the limit: the part that takes the room, and the fix."""
    longest = max(re.split(r"[\n;]|(?<=\d)(?=EXDATE|RDATE|RRULE)", text), key=len)
    part = re.split("[=:]", longest[:_SHOWN_CHARS_MAX])[0].upper()
    if longest.upper().startswith("VALUE=") and (head := text[: text.index(longest)].rstrip(";")):
        part = re.split(r"[\n;]", head)[-1].upper()
    reason = f"the rule has {len(text)} characters, most of them here; at most {RULE_CHARS_MAX} are read"
    return RuleError(FIELD, f"{part}: {reason}", "Leave values out, or put dates in a calendar and name it in exclude")


def parse_rule_text(text: str) -> RuleText:
    """Reads DTSTART, RRULE, RDATE and EXDATE lines, or a bare `FREQ=...`; RuleError names the line that is wrong."""
    if len(text) > RULE_CHARS_MAX:
        raise too_long(text)
    start: Moment | None = None
    rules: list[str] = []
    rdates: list[Moment] = []
    exdates: list[Moment] = []
    for line in _lines(text):
        name, parameters, value = _property(line)
        if name == "DTSTART":
            if start is not None:
                refuse("DTSTART", "it is given twice", "Keep one")
            start = _single(value, parameters)
        elif name == "RRULE":
            rules.append(value)
        elif name == "RDATE":
            rdates += _moments(name, value, parameters, RDATES_MAX - len(rdates))
        elif name == "EXDATE":
            exdates += _moments(name, value, parameters, EXDATES_MAX - len(exdates))
        elif name == "EXRULE":
            refuse("EXRULE", "RFC 5545 dropped it", "Write EXDATE lines, or a second schedule's calendar in exclude")
        else:
            refuse(name, "it is no part of a recurrence set", "Keep DTSTART, RRULE, RDATE and EXDATE lines")
    if not rules and not rdates:
        refuse("RRULE", "there is none", "Write 'RRULE:FREQ=DAILY', or RDATE lines")
    if len(rules) > RRULE_LINES_MAX:
        refuse("RRULE", f"there are {len(rules)} lines, at most {RRULE_LINES_MAX} are read", "Make several schedules")
    return RuleText(start, tuple(rules), tuple(rdates), tuple(exdates))


def _lines(text: str) -> list[str]:
    """Unfolds; a property that was only indented, or stands behind a space, begins a line of its own."""
    lines: list[str] = []
    for raw in text.replace("\\n", "\n").replace("\r", "\n").split("\n"):
        for index, word in enumerate(raw.split()):
            folded = raw[0] in " \t" if index == 0 else True
            if folded and lines and not _PROPERTY.match(word):
                lines[-1] += word
            else:
                lines.append(word)
    return lines


def _property(line: str) -> tuple[str, dict[str, str], str]:
    if line[:5].upper() == "FREQ=" or (":" not in line and "=" in line):
        return "RRULE", {}, line
    head, colon, value = line.partition(":")
    if not colon:
        refuse(line[:_SHOWN_CHARS_MAX], "this is not a property", "Write 'RRULE:FREQ=DAILY'")
    name, *raw_parameters = head.split(";")
    parameters: dict[str, str] = {}
    for raw in raw_parameters:
        key, equals, content = raw.partition("=")
        if not equals or key.upper() not in ("TZID", "VALUE"):
            refuse(name.upper(), f"parameter {raw[:_SHOWN_CHARS_MAX]!r} is not known", "Keep TZID and VALUE")
        parameters[key.upper()] = content.strip('"')
    return name.upper(), parameters, value


def _single(value: str, parameters: dict[str, str]) -> Moment:
    if "," in value:
        refuse("DTSTART", "it holds more than one", "Keep one, and write the others as RDATE")
    return parse_moment("DTSTART", value, parameters)


def _moments(name: str, value: str, parameters: dict[str, str], room: int) -> list[Moment]:
    if value.count(",") + 1 > room:
        limit = RDATES_MAX if name == "RDATE" else EXDATES_MAX
        fix = "Use a second schedule" if name == "RDATE" else "Put them in a calendar and name it in exclude"
        refuse(name, f"more than {limit} are given", fix)
    return [parse_moment(name, each.split("/")[0], parameters) for each in value.split(",")]


def parse_moment(name: str, value: str, parameters: dict[str, str]) -> Moment:
    """One `20250101`, `20250101T090000` or `20250101T090000Z`; with TZID the local time of that zone."""
    kind = parameters.get("VALUE", "").upper()
    match = _MOMENT.match(value)
    if match is None or kind not in ("", "DATE", "DATE-TIME", "PERIOD") or (kind == "DATE" and match[4]):
        refuse(name, f"{value[:_SHOWN_CHARS_MAX]!r} is not a date-time", "Write 20270131T090000, with Z for UTC")
    try:
        day = date(int(match[1]), int(match[2]), int(match[3])).toordinal() - EPOCH_ORDINAL
    except ValueError:
        refuse(name, f"{value!r} is not a day of the calendar", "Choose a day the month has")
    hour, minute, second = (int(match[group] or 0) for group in (4, 5, 6))
    if hour > 23 or minute > 59 or second > 60 or not 1 <= int(match[1]) <= 9997:
        refuse(name, f"{value!r} is not a time", "Hours run to 23, minutes and seconds to 59, years from 1 to 9997")
    zone = _zone_of(name, parameters, bool(match[7]))
    # RFC 5545, 3.3.12: without leap seconds 60 is read as 59.
    local_s = day * DAY_SECONDS + hour * 3600 + minute * 60 + min(second, 59)
    return Moment(local_s, zone, not match[4])


def _zone_of(name: str, parameters: dict[str, str], is_utc: bool) -> Zone | None:
    if "TZID" not in parameters:
        return zone_named(UTC_ZONE, FIELD) if is_utc else None
    if is_utc:
        refuse(name, "a value in UTC cannot have a TZID", "Drop the Z or the TZID")
    try:
        return zone_named(parameters["TZID"].removeprefix("/"), FIELD)
    except RuleError as error:
        refuse(name, f"TZID {error.reason}", error.fix)

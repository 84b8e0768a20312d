"""The days that an iCalendar text (RFC 5545) takes: its VEVENTs, repeated ones expanded as far as a calendar looks ahead.

Only what decides days is read: DTSTART, DTEND, DURATION in days, RRULE, RDATE, EXDATE, STATUS. A time of day counts as its day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from squirrel.model.when import When
from squirrel.recurrence import RuleError, compile_rule

EVENTS_MAX: Final = 5_000
EVENT_DAYS_MAX: Final = 400  # of one event: longer than any holiday, shorter than a mistake in a year's digit
STARTS_MAX: Final = 50_000  # of all events together: a second of work
LINES_MAX: Final = 100_000
_DAY_MS: Final = 86_400_000
_DATE: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)Z?)?")
_DURATION: Final = re.compile(r"P(?:(\d{1,4})W|(\d{1,4})D)?(?:T(?:\d+[HMS])+)?")


class IcalError(ValueError):
    """What is wrong with the text, and where; the message is for its author."""


class Span(NamedTuple):
    """The days up to which repeated events are expanded, and how many days are taken at most."""

    from_day: date
    to_day: date
    days_max: int


class _Event(NamedTuple):
    """One VEVENT: properties by name, each with the value after its parameters; the number of its first line."""

    line: int
    properties: dict[str, list[str]]


def days_of_ical(text: str, span: Span) -> list[date]:
    """All days of all events, ascending. Repeated events are expanded from their start to `to_day`. Raises IcalError."""
    days: set[date] = set()
    starts = 0
    for event in _events(text):
        if event.properties.get("STATUS") == ["CANCELLED"]:
            continue
        try:
            length = _length(event)
            excluded = {_date(each) for each in _listed(event, "EXDATE")}
            for start in _starts(event, span):
                starts += 1
                if starts > STARTS_MAX:
                    raise IcalError(f"repeats more than {STARTS_MAX} times; send fewer events or shorter repetitions")
                if start not in excluded:
                    days.update(start + timedelta(days=offset) for offset in range(length))
                if len(days) > span.days_max:
                    raise IcalError(f"gives more than {span.days_max} days; send fewer events or shorter repetitions")
        except OverflowError:
            raise IcalError(f"the event at line {event.line} lies beyond the year 9999") from None
    return sorted(days)


def _events(text: str) -> Iterator[_Event]:
    """The VEVENTs of the unfolded text; nested components (alarms) are passed over."""
    lines = text.replace("\r\n ", "").replace("\n ", "").replace("\r\n\t", "").replace("\n\t", "").splitlines()
    if len(lines) > LINES_MAX:
        raise IcalError(f"has {len(lines)} lines, the limit is {LINES_MAX}")
    if not lines or lines[0].strip().upper() != "BEGIN:VCALENDAR":
        raise IcalError("does not begin with BEGIN:VCALENDAR; send a whole iCalendar text")
    count = 0
    inside: _Event | None = None
    nested = 0
    for number, line in enumerate(lines, 1):
        name, _, value = line.partition(":")
        name = name.partition(";")[0].strip().upper()
        word = value.strip().upper()
        if name == "BEGIN" and word == "VEVENT" and inside is None:
            inside = _Event(number, {})
            count += 1
            if count > EVENTS_MAX:
                raise IcalError(f"has more than {EVENTS_MAX} events; send the ones that matter")
        elif inside is None:
            continue
        elif name == "BEGIN":
            nested += 1
        elif name == "END" and word == "VEVENT":
            yield inside
            inside = None
        elif name == "END":
            nested -= 1
        elif nested == 0:
            inside.properties.setdefault(name, []).append(value.strip())
    if inside is not None:
        raise IcalError(f"the event that begins at line {inside.line} has no END:VEVENT")
    if count == 0:
        raise IcalError("holds no VEVENT, so there would be no day off")


def _starts(event: _Event, span: Span) -> Iterator[date]:
    """The first days: DTSTART, what RRULE makes of it, RDATE."""
    start = _start(event)
    yield start
    for each in _listed(event, "RDATE"):
        yield _date(each.partition("/")[0])
    rules = event.properties.get("RRULE", [])
    if not rules or start > span.to_day:
        return
    text = "\n".join([f"DTSTART:{start:%Y%m%d}T000000Z", *(f"RRULE:{_whole_days(rule)}" for rule in rules)])
    try:
        rule = compile_rule(When(rrule=text), created_ms=0)
        after_ms = _ms(start)
        for _ in range(span.days_max + 1):
            slot_ms = rule.next_after(after_ms)
            if slot_ms is None or slot_ms > _ms(span.to_day):
                return
            yield datetime.fromtimestamp(slot_ms / 1000, UTC).date()
            after_ms = slot_ms
    except RuleError as error:
        raise IcalError(f"the RRULE of the event at line {event.line}: {error.reason}. {error.fix}") from None


def _whole_days(rule: str) -> str:
    """A rule over days: what it says of times of day cannot change them, but an UNTIL needs an instant."""
    kept = []
    for part in rule.split(";"):
        name, _, value = part.partition("=")
        if name.strip().upper() in ("BYHOUR", "BYMINUTE", "BYSECOND"):
            continue
        if name.strip().upper() == "FREQ" and value.strip().upper() in ("HOURLY", "MINUTELY", "SECONDLY"):
            raise IcalError(
                f"an RRULE repeats within a day ({value.strip()[:10]}); days off repeat DAILY or less often"
            )
        if name.strip().upper() == "UNTIL":
            value = f"{value.strip()[:8]}T235959Z"
        kept.append(f"{name}={value}")
    return ";".join(kept)


def _start(event: _Event) -> date:
    given = event.properties.get("DTSTART")
    if not given:
        raise IcalError(f"the event at line {event.line} has no DTSTART")
    return _date(given[0])


def _length(event: _Event) -> int:
    """How many days one occurrence takes, at least one."""
    start = _start(event)
    if ends := event.properties.get("DTEND"):
        text = ends[0]
        last = _date(text)
        # The end is exclusive: midnight and a bare date belong to the day before.
        days = (last - start).days + ("T" in text.upper() and "T000000" not in text.upper())
    elif durations := event.properties.get("DURATION"):
        found = _DURATION.fullmatch(durations[0].upper())
        if found is None:
            raise IcalError(f"the DURATION {durations[0][:40]!r} at line {event.line} is none, such as P2D")
        days = int(found[1] or 0) * 7 + int(found[2] or 0)
    else:
        days = 1
    if days > EVENT_DAYS_MAX:
        raise IcalError(f"the event at line {event.line} takes {days} days, the limit is {EVENT_DAYS_MAX}")
    return max(days, 1)


def _listed(event: _Event, name: str) -> list[str]:
    return [each for value in event.properties.get(name, []) for each in value.split(",") if each]


def _date(text: str) -> date:
    found = _DATE.fullmatch(text.strip().upper())
    if found is None:
        raise IcalError(f"{text[:40]!r} is no date such as 20271225 or 20271225T090000Z")
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        raise IcalError(f"{text[:40]!r} is no date that exists") from None


def _ms(day: date) -> int:
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * _DAY_MS

"""`when` -> When and back: exactly one kind of rule, and what narrows it."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Final

from squirrel.model.errors import Problem, Refused
from squirrel.model.ids import id_problem
from squirrel.model.instants import format_instant
from squirrel.model.limits import EXCLUDES_MAX, INSTANT_MS_MAX, NAME_CHARS_MAX, PARENTS_MAX, RULE_CHARS_MAX, SECONDS_MAX
from squirrel.model.when import DstPolicy, EventMatch, Every, Parent, When
from squirrel.wire.documents.condition import read_condition
from squirrel.wire.documents.names import WHEN_KINDS, WHEN_NAMES, Entries, Entry, entries_of, spellings
from squirrel.wire.documents.pattern import read_pattern
from squirrel.wire.documents.rule import check_rule, text_refusal, zone_refusal
from squirrel.wire.documents.values import (
    Problems,
    read_choice,
    read_instant,
    read_number,
    read_prose,
    read_text,
    shown,
)

INTERVALS: Final = ("second", "minute", "hour", "day", "week", "month", "year")
OUTCOMES: Final = ("success", "failure", "completion")
IF_EXCLUDED: Final = ("skip", "next_business_day", "previous_business_day")
SPREAD_SECONDS_MAX: Final = 86_400  # recurrence holds the same: a wider spread is another rule
INTERVAL_VALUE_MAX: Final = 1_000_000
_EVERY_NAMES = spellings(("interval", "value", "start"))
_PARENT_NAMES = spellings(("schedule", "on"))
_EVENT_NAMES = spellings(("event", "on"))
_DST_NAMES = spellings(("gap", "overlap"))
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def parse_when(entries: Entries, now_ms: int, problems: Problems) -> When:
    """`when`'s fields by our names -> When. Exactly one kind; what is wrong is added to `problems`."""
    kinds: list[str] = [name for name in WHEN_KINDS if name in entries]
    if len(kinds) != 1:
        problems.append(_kind_problem(entries, kinds))
    before = len(problems)
    when = When(**parse_fields(entries, now_ms, problems))
    _check_together(when, entries, now_ms, problems)
    if len(problems) == before and len(kinds) == 1 and when.at_ms is None:
        check_rule(when, now_ms, entries, problems)
    return when


def _kind_problem(entries: Entries, kinds: list[str]) -> Problem:
    listed = ", ".join(WHEN_KINDS)
    if not kinds:
        return Problem("when", f"is missing or names no time; send exactly one of {listed}")
    sent = " and ".join(entries[name][0] for name in kinds)
    return Problem(entries[kinds[1]][0], f"is one kind of time too many: {sent}; send exactly one of {listed}")


def parse_fields(entries: Entries, now_ms: int, problems: Problems) -> dict[str, Any]:
    """Each field on its own -> the arguments of When; for a change, where the rest is not known yet."""
    if len(entries) == 1 and (entry := entries.get("at")) is not None:  # most schedules are this
        return {"at_ms": read_instant(*entry, problems)}
    values: dict[str, Any] = {}
    for name, entry in entries.items():
        reader = _READERS.get(name)
        if reader is not None:
            argument, value = reader(entry, problems)
            if value is not None:
                values[argument] = value
    if "in_seconds" in values and now_ms + values["in_seconds"] * 1000 > INSTANT_MS_MAX:
        problems.append(Problem(entries["in_seconds"][0], "ends after the year 9999; send fewer seconds"))
    every = values.get("every")
    if every is not None and every.start_ms is None and "start_ms" in values:
        values["every"] = Every(every.interval, every.value, values["start_ms"])
    return values


def _check_together(when: When, entries: Entries, now_ms: int, problems: Problems) -> None:
    """Fields that are right alone and wrong together."""
    if when.start_ms is not None and when.end_ms is not None and when.end_ms < when.start_ms:
        problems.append(Problem(entries["end"][0], "lies before start; send an end at or after it"))
    elif when.end_ms is not None and when.end_ms < now_ms and when.at_ms is None and not when.after:
        problems.append(
            Problem(entries["end"][0], f"lies in the past, so nothing would run; now is {_instant(now_ms)}")
        )
    waits = bool(when.after) or when.on_event is not None
    if "delay_seconds" in entries and not waits and any(name in entries for name in WHEN_KINDS):
        problems.append(Problem(entries["delay_seconds"][0], "counts from a parent; use it with after or on_event"))
    if "if" in entries and not waits and any(name in entries for name in WHEN_KINDS):
        problems.append(Problem(entries["if"][0], "asks a parent's answer; use it with after or on_event"))
    if "join" in entries and not when.after and "after" not in entries:
        problems.append(Problem(entries["join"][0], "joins parents; use it with after"))


def _instant(now_ms: int) -> str:
    return format_instant(now_ms) if 0 <= now_ms <= INSTANT_MS_MAX else str(now_ms)


# --- one reader per field: (entry, problems) -> (argument of When, value or None) ----------------------------------------
Read = tuple[str, Any]


def _at(entry: Entry, problems: Problems) -> Read:
    return "at_ms", read_instant(*entry, problems)


def _start(entry: Entry, problems: Problems) -> Read:
    return "start_ms", read_instant(*entry, problems)


def _end(entry: Entry, problems: Problems) -> Read:
    return "end_ms", read_instant(*entry, problems)


def _in_seconds(entry: Entry, problems: Problems) -> Read:
    return "in_seconds", read_number(*entry, problems, 0, SECONDS_MAX)


def _delay(entry: Entry, problems: Problems) -> Read:
    return "delay_seconds", read_number(*entry, problems, 0, SECONDS_MAX)


def _spread(entry: Entry, problems: Problems) -> Read:
    return "spread_seconds", read_number(*entry, problems, 0, SPREAD_SECONDS_MAX, whole=True)


def _max_runs(entry: Entry, problems: Problems) -> Read:
    return "max_runs", read_number(*entry, problems, 1, 2**53, whole=True)


def _cron(entry: Entry, problems: Problems) -> Read:
    return "cron", read_text(*entry, problems, RULE_CHARS_MAX)


def _rrule(entry: Entry, problems: Problems) -> Read:
    if isinstance(entry[1], str) and len(entry[1]) > RULE_CHARS_MAX:
        problems.append(Problem(entry[0], text_refusal(entry[1])))
        return "rrule", None
    text = read_prose(*entry, problems, RULE_CHARS_MAX)
    if text is not None and not text.strip():
        problems.append(Problem(entry[0], "is empty; send a rule such as FREQ=DAILY;INTERVAL=1"))
        return "rrule", None
    return "rrule", text


def _timezone(entry: Entry, problems: Problems) -> Read:
    field, value = entry
    if not isinstance(value, str):
        problems.append(Problem(field, f"must be an IANA zone such as Europe/Berlin, is {shown(value)}"))
    elif (refusal := zone_refusal(value)) is not None:
        problems.append(Problem(field, refusal))
    else:
        return "timezone", value
    return "timezone", None


def _every(entry: Entry, problems: Problems) -> Read:
    before = len(problems)
    entries = entries_of(entry[1], _EVERY_NAMES, entry[0], problems)
    if len(problems) > before:
        return "every", None
    interval = read_choice(*entries.get("interval", (f"{entry[0]}.interval", None)), problems, INTERVALS)
    value = read_number(*entries.get("value", ("", 1)), problems, 1, INTERVAL_VALUE_MAX, whole=True)
    start = entries.get("start")
    start_ms = read_instant(*start, problems) if start is not None and start[1] is not None else None
    if interval is None or value is None or len(problems) > before:
        return "every", None
    return "every", Every(interval, int(value), start_ms)


def _after(entry: Entry, problems: Problems) -> Read:
    field, value = entry
    if not isinstance(value, list) or not 1 <= len(value) <= PARENTS_MAX:
        problems.append(
            Problem(
                field, f'must be a list of 1 to {PARENTS_MAX} parents such as {{"schedule": "its-id", "on": "success"}}'
            )
        )
        return "after", None
    parents = [_parent(f"{field}[{index}]", each, problems) for index, each in enumerate(value)]
    seen: set[str] = set()
    for index, parent in enumerate(parents):
        if parent is not None and parent.schedule in seen:
            problems.append(Problem(f"{field}[{index}].schedule", "is named twice; name each parent once"))
        elif parent is not None:
            seen.add(parent.schedule)
    return "after", tuple(parent for parent in parents if parent is not None)


def _parent(field: str, value: Any, problems: Problems) -> Parent | None:
    before = len(problems)
    entries = entries_of(value, _PARENT_NAMES, field, problems)
    if len(problems) > before:
        return None
    name, schedule = entries.get("schedule", (f"{field}.schedule", None))
    reason = "is missing; name the parent's id" if schedule is None else id_problem(schedule)
    if reason is not None:
        problems.append(Problem(name, reason))
    outcome = read_choice(*entries.get("on", ("", "success")), problems, OUTCOMES)
    return Parent(str(schedule), outcome) if reason is None and outcome is not None else None


def _on_event(entry: Entry, problems: Problems) -> Read:
    before = len(problems)
    entries = entries_of(entry[1], _EVENT_NAMES, entry[0], problems)
    if len(problems) > before:
        return "on_event", None
    pattern = read_pattern(*entries.get("event", (f"{entry[0]}.event", None)), problems)
    outcome = read_choice(*entries.get("on", ("", "success")), problems, OUTCOMES)
    return "on_event", EventMatch(pattern, outcome) if pattern is not None and outcome is not None else None


def _join(entry: Entry, problems: Problems) -> Read:
    return "join", read_choice(*entry, problems, ("all", "any"))


def _if_excluded(entry: Entry, problems: Problems) -> Read:
    return "if_excluded", read_choice(*entry, problems, IF_EXCLUDED)


def _exclude(entry: Entry, problems: Problems) -> Read:
    field, value = entry
    if not isinstance(value, list) or len(value) > EXCLUDES_MAX:
        problems.append(
            Problem(field, f"must be a list of at most {EXCLUDES_MAX} dates (2027-12-25) and calendar names")
        )
        return "exclude", None
    kept = []
    for index, each in enumerate(value):
        text = read_text(f"{field}[{index}]", each, problems, NAME_CHARS_MAX)
        if text is not None and _DATE.fullmatch(text) and not _date_exists(text):
            problems.append(Problem(f"{field}[{index}]", f"{text} is not a date that exists"))
        elif text is not None:
            kept.append(text)
    return "exclude", tuple(kept)


def _date_exists(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _if(entry: Entry, problems: Problems) -> Read:
    return "condition", read_condition(*entry, problems, ("parent", "parents"))


def _dst(entry: Entry, problems: Problems) -> Read:
    entries = entries_of(entry[1], _DST_NAMES, entry[0], problems)
    gap, overlap = entries.get("gap"), entries.get("overlap")
    return "dst", DstPolicy(
        read_choice(*gap, problems, ("skip", "shift", "next")) if gap and gap[1] is not None else None,
        read_choice(*overlap, problems, ("first", "last", "both")) if overlap and overlap[1] is not None else None,
    )


_READERS: Final = {
    "at": _at, "in_seconds": _in_seconds, "cron": _cron, "rrule": _rrule, "every": _every, "after": _after,
    "on_event": _on_event, "timezone": _timezone, "join": _join, "delay_seconds": _delay, "start": _start, "end": _end,
    "max_runs": _max_runs, "exclude": _exclude, "if_excluded": _if_excluded, "dst": _dst, "spread_seconds": _spread,
    "if": _if,
}  # fmt: skip


def parse_when_document(value: Any, now_ms: int, prefix: str = "when") -> When:
    """A `when` object alone, as the preview sends it. Raises Refused."""
    problems: Problems = []
    entries = entries_of(value, WHEN_NAMES, prefix, problems)
    if problems:
        raise Refused("invalid", problems)
    when = parse_when({name: entry for name, entry in entries.items() if entry[1] is not None}, now_ms, problems)
    if problems:
        raise Refused("invalid", problems)
    return when


def when_document(when: When) -> dict[str, Any]:
    """When in the API's words; what has its default is left out."""
    shown_fields: dict[str, Any] = {}
    if when.at_ms is not None:
        shown_fields["at"] = format_instant(when.at_ms)
    if when.every is not None:
        shown_fields["every"] = {"interval": when.every.interval, "value": when.every.value}
        if when.every.start_ms is not None and when.every.start_ms != when.start_ms:
            shown_fields["every"]["start"] = format_instant(when.every.start_ms)
    for name in ("in_seconds", "cron", "rrule", "timezone", "max_runs"):
        if getattr(when, name) is not None:
            shown_fields[name] = getattr(when, name)
    if when.after:
        shown_fields["after"] = [{"schedule": parent.schedule, "on": parent.on} for parent in when.after]
        shown_fields["join"] = when.join
    if when.on_event is not None:
        shown_fields["on_event"] = {"event": when.on_event.event, "on": when.on_event.on}
    if when.after or when.on_event is not None:
        shown_fields["delay_seconds"] = when.delay_seconds
        shown_fields |= {"if": when.condition} if when.condition else {}
    if when.start_ms is not None:
        shown_fields["start"] = format_instant(when.start_ms)
    if when.end_ms is not None:
        shown_fields["end"] = format_instant(when.end_ms)
    if when.exclude:
        shown_fields["exclude"] = list(when.exclude)
    if when.if_excluded != "skip":
        shown_fields["if_excluded"] = when.if_excluded
    if when.dst is not None:
        policy = {"gap": when.dst.gap, "overlap": when.dst.overlap}
        shown_fields["dst"] = {name: value for name, value in policy.items() if value is not None}
    if when.spread_seconds:
        shown_fields["spread_seconds"] = when.spread_seconds
    return shown_fields

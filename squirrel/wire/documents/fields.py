"""The fields at the top of a schedule, each read on its own: event, message, tags, policies of overlap and of missed slots."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from squirrel.model.errors import Problem
from squirrel.model.limits import (
    DESCRIPTION_CHARS_MAX,
    EVENT_CHARS_MAX,
    GROUP_CHARS_MAX,
    METADATA_BYTES_MAX,
    NAME_CHARS_MAX,
    PAYLOAD_BYTES_MAX,
    RETENTION_MS_MAX,
    SECONDS_MAX,
    TAG_CHARS_MAX,
    TAGS_MAX,
)
from squirrel.model.target import Fallback
from squirrel.wire.documents.flow import parse_flow
from squirrel.wire.documents.json_text import Document
from squirrel.wire.documents.names import Entries, Entry
from squirrel.wire.documents.target import TargetPolicy, parse_fallback
from squirrel.wire.documents.values import (
    Problems,
    read_bool,
    read_choice,
    read_ms,
    read_prose,
    read_text,
    shown,
)

GUARANTEES: Final = ("at_least_once", "at_most_once")
TOO_LARGE: Final = "bytes, the limit is"  # how a problem of size reads; such problems alone make a 413


class Sources(NamedTuple):
    """What fields are read from and held against."""

    document: Document
    policy: TargetPolicy | None
    fallback_before: tuple[Fallback, ...] = ()


Read = tuple[str, Any]  # argument of Spec, value or None


def parse_top(entries: Entries, sources: Sources, problems: Problems) -> dict[str, Any]:
    """Each field that was sent -> the arguments of Spec; what is wrong is left out and added to `problems`."""
    values: dict[str, Any] = {}
    for name, entry in entries.items():
        reader = _READERS.get(name)
        if reader is not None:
            argument, value = reader(entry, sources, problems)
            if value is not None:
                values[argument] = value
    return values


def _event(entry: Entry, _: Sources, problems: Problems) -> Read:
    return "event", read_text(*entry, problems, EVENT_CHARS_MAX)


def _name(entry: Entry, _: Sources, problems: Problems) -> Read:
    return "name", read_text(*entry, problems, NAME_CHARS_MAX, 0)


def _description(entry: Entry, _: Sources, problems: Problems) -> Read:
    return "description", read_prose(*entry, problems, DESCRIPTION_CHARS_MAX)


def _group(entry: Entry, _: Sources, problems: Problems) -> Read:
    return "group", read_text(*entry, problems, GROUP_CHARS_MAX)


def _message(entry: Entry, sources: Sources, problems: Problems) -> Read:
    raw = sources.document.raw(entry[0])
    if len(raw) > PAYLOAD_BYTES_MAX:
        reason = f"has {len(raw)} {TOO_LARGE} {PAYLOAD_BYTES_MAX}; store it elsewhere and send a reference"
        problems.append(Problem(entry[0], reason))
        return "message", None
    return "message", raw


def _metadata(entry: Entry, sources: Sources, problems: Problems) -> Read:
    raw = sources.document.raw(entry[0])
    if not isinstance(entry[1], dict):
        problems.append(Problem(entry[0], f'must be an object such as {{"any": "thing"}}, is {shown(entry[1])}'))
    elif len(raw) > METADATA_BYTES_MAX:
        reason = f"has {len(raw)} {TOO_LARGE} {METADATA_BYTES_MAX}; put large values into message"
        problems.append(Problem(entry[0], reason))
    else:
        return "metadata", raw
    return "metadata", None


def _tags(entry: Entry, _: Sources, problems: Problems) -> Read:
    field, value = entry
    if not isinstance(value, list) or len(value) > TAGS_MAX:
        problems.append(Problem(field, f"must be a list of at most {TAGS_MAX} strings"))
        return "tags", None
    read = [read_text(f"{field}[{index}]", each, problems, TAG_CHARS_MAX) for index, each in enumerate(value)]
    return "tags", tuple(dict.fromkeys(tag for tag in read if tag is not None))


def _fire_and_forget(entry: Entry, _: Sources, problems: Problems) -> Read:
    return "fire_and_forget", read_bool(*entry, problems)


def _fallback(entry: Entry, sources: Sources, problems: Problems) -> Read:
    return "fallback", parse_fallback(*entry, sources.policy, problems, sources.fallback_before)


def _overlap(entry: Entry, _: Sources, problems: Problems) -> Read:
    return "overlap", read_choice(*entry, problems, ("skip", "queue", "allow"))


def _keep_response(entry: Entry, _: Sources, problems: Problems) -> Read:
    return "keep_response", read_bool(*entry, problems)


def _flow(entry: Entry, _: Sources, problems: Problems) -> Read:
    return "flow", parse_flow(*entry, problems)


def _guarantee(entry: Entry, _: Sources, problems: Problems) -> Read:
    chosen = read_choice(*entry, problems, GUARANTEES)
    return "at_most_once", None if chosen is None else chosen == "at_most_once"


def _missed(entry: Entry, _: Sources, problems: Problems) -> Read:
    return "missed", read_choice(*entry, problems, ("run_all", "run_last", "skip"))


def _max_lateness(entry: Entry, _: Sources, problems: Problems) -> Read:
    return "max_lateness_ms", read_ms(*entry, problems, 0, SECONDS_MAX)


def _retention(entry: Entry, _: Sources, problems: Problems) -> Read:
    return "retention_ms", read_ms(*entry, problems, 1, RETENTION_MS_MAX // 1000)


_READERS: Final = {
    "event": _event, "name": _name, "description": _description, "group": _group, "message": _message,
    "metadata": _metadata, "tags": _tags, "fire_and_forget": _fire_and_forget, "fallback": _fallback,
    "overlap": _overlap, "missed": _missed, "guarantee": _guarantee, "keep_response": _keep_response,
    "flow": _flow,
    "max_lateness_seconds": _max_lateness, "retention_seconds": _retention,
}  # fmt: skip
ARGUMENTS: Final = {
    "max_lateness_seconds": "max_lateness_ms",
    "retention_seconds": "retention_ms",
    "guarantee": "at_most_once",
} | {name: name for name in _READERS if not name.endswith("_seconds") and name != "guarantee"}

"""Every key that a schedule may carry, under all its spellings, and the place where its value belongs.

Snake case is ours; its camel case is accepted everywhere, and at the top level the seed projects' names for the same value
(shared/seeds: `sendAt`, `callback_url`, `cron_expression`, ...). What changes meaning and not only name is translated by the
gateway's compat modules, not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from squirrel.model.errors import Problem
from squirrel.wire.documents.json_text import visible

PROBLEMS_MAX: Final = 50  # told at once; finding the nearest name costs 0.1 ms each

Entry = tuple[str, Any]  # the field as it was sent, dotted; the value
Entries = dict[str, Entry]  # by our own name
Names = Mapping[str, str]  # spelling -> our own name


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def spellings(names: Iterable[str]) -> dict[str, str]:
    """Snake and camel case of each name -> the name."""
    return {spelling: name for name in names for spelling in (name, _camel(name))}


TOP: Final = (
    "id", "event", "name", "description", "tags", "metadata", "message", "target", "when", "retry", "fire_and_forget",
    "fallback", "overlap", "missed", "max_lateness_seconds", "group", "retention_seconds", "guarantee",
    "keep_response", "flow",
)  # fmt: skip
WHEN_KINDS: Final = ("at", "in_seconds", "cron", "rrule", "every", "after", "on_event")
WHEN: Final = (
    *WHEN_KINDS, "timezone", "join", "delay_seconds", "start", "end", "max_runs", "exclude", "if_excluded", "dst",
    "spread_seconds", "if",
)  # fmt: skip
RETRY: Final = (
    "max_retries", "strategy", "initial_seconds", "max_seconds", "multiplier", "jitter", "deadline_seconds", "on", "if",
)  # fmt: skip
TARGET: Final = (
    "type", "url", "method", "headers", "timeout_seconds", "topic", "key", "signing", "auth", "tls", "completion",
    "completion_timeout_seconds",
)  # fmt: skip
SERVER_SET: Final = frozenset(
    {"namespace", "revision", "state", "next_run", "created_at", "updated_at", "last_run", "reason", "warnings", "run"}
)

WHEN_NAMES: Final = spellings(WHEN)
RETRY_NAMES: Final = spellings(RETRY)
TARGET_NAMES: Final = spellings(TARGET)

_SEEDS: Final = {
    # Squirrel Scheduler
    "send_at": ("when", "at"),
    "max_retries": ("retry", "max_retries"),
    # Scheduler Service
    "payload": ("top", "message"),
    "cron_expression": ("when", "cron"),
    "specific_time": ("when", "at"),
    # Workflow Scheduler
    "target_type": ("target", "type"),
    "target_url": ("target", "url"),
    "target_method": ("target", "method"),
    "target_headers": ("target", "headers"),
    "target_payload": ("top", "message"),
    "timeout_seconds": ("target", "timeout_seconds"),
    "overlap_policy": ("top", "overlap"),
    "retry_strategy": ("retry", "strategy"),
    # Redis Scheduler
    "webhook": ("target", "url"),
    "ttl": ("when", "in_seconds"),
    "data": ("top", "message"),
    # RRule Scheduler
    "callback_url": ("target", "url"),
    "method": ("target", "method"),
    "headers": ("target", "headers"),
}
Place = tuple[str, str]  # top, when, retry or target; our own name
TOP_PLACES: Final[dict[str, Place]] = (
    {spelling: place for name, place in _SEEDS.items() for spelling in (name, _camel(name))}
    | {spelling: ("when", name) for spelling, name in WHEN_NAMES.items()}
    | {spelling: ("top", name) for spelling, name in spellings(TOP).items()}
)


def unknown(field: str, key: str, known: Iterable[str], prefix: str = "") -> Problem:
    """An unknown key, with the nearest known one, or all of them when none is near."""
    if key in SERVER_SET and not prefix:
        return Problem(field, "is set by the server; leave it out")
    names = sorted(set(known))
    near = get_close_matches(key[:100], names, n=1, cutoff=0.6)
    advice = f"did you mean {prefix}{near[0]}?" if near else "known here: " + ", ".join(names)
    return Problem(field, f"is no known field; {advice}")


def entries_of(value: Any, names: Names, prefix: str, problems: list[Problem]) -> Entries:
    """The keys of a nested object by our own names; problems for unknown and doubly named ones."""
    entries: Entries = {}
    if not isinstance(value, dict):
        problems.append(Problem(prefix, f"must be an object with {', '.join(dict.fromkeys(names.values()))}"))
        return entries
    for key, inner in value.items():
        field = f"{prefix}.{key}" if prefix else key
        name = names.get(key)
        if len(problems) >= PROBLEMS_MAX:
            break
        if name is None:
            problems.append(unknown(visible(field), key, names.values(), f"{prefix}." if prefix else ""))
        elif name in entries:
            problems.append(twice(field, entries[name][0]))
        else:
            entries[name] = (field, inner)
    return entries


def twice(field: str, other: str) -> Problem:
    """One value under two spellings."""
    return Problem(field, f"says the same as {other}; send one of the two")

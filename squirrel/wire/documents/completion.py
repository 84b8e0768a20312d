"""`completion` of a webhook: whether a 202 is a promise, and how long it holds."""

from __future__ import annotations

from typing import Any, Final

from squirrel.model.errors import Problem
from squirrel.model.limits import COMPLETION_SECONDS_DEFAULT, COMPLETION_SECONDS_MAX
from squirrel.wire.documents.names import Entries
from squirrel.wire.documents.retry import seconds_of
from squirrel.wire.documents.values import Problems, read_choice, read_ms

FIELDS: Final = ("completion", "completion_timeout_seconds")


def parse_completion(entries: Entries, problems: Problems) -> int | None:
    """Milliseconds that a promise of the target holds; None when its answers are final."""
    kind = None
    if (entry := entries.get("completion")) is not None:
        kind = read_choice(*entry, problems, ("sync", "async"))
    entry = entries.get("completion_timeout_seconds")
    if entry is None:
        return COMPLETION_SECONDS_DEFAULT * 1000 if kind == "async" else None
    timeout_ms = read_ms(*entry, problems, 1, COMPLETION_SECONDS_MAX)
    if kind != "async":
        problems.append(Problem(entry[0], 'bounds a promise; send "completion": "async" with it'))
    return timeout_ms


def completion_document(timeout_ms: int | None) -> dict[str, Any]:
    """In the API's words; nothing for a target whose answers are final."""
    if timeout_ms is None:
        return {}
    return {"completion": "async", "completion_timeout_seconds": seconds_of(timeout_ms)}

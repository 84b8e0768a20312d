"""The JSON schemas of repairs: filters, operations on what they match, dead letters and what is made of them."""

from __future__ import annotations

from typing import Any, Final

from squirrel.gateway.letters import REASON_CHARS_MAX
from squirrel.gateway.run_search import FINAL_STATES, LETTER_QUERY, RUN_QUERY
from squirrel.gateway.schemas import TEXT, Schema, choice, closed, number, text
from squirrel.gateway.sweep_body import RATE_DEFAULT, RATE_MAX, RATE_MIN

_TEXT: Final[Schema] = {"type": "string"}
_INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
_RATE: Final = number(RATE_MIN, RATE_MAX, default=RATE_DEFAULT, description="a second, over all of it")
_DRY_RUN: Final[Schema] = {"type": "boolean", "default": False, "description": "count what matches and change nothing"}
_REASON: Final = text(REASON_CHARS_MAX, TEXT)


def _filter(query: dict[str, Schema], **changed: Schema) -> Schema:
    return {
        **closed([], **{**query, **changed}),
        "minProperties": 1,
        "description": "every part that is given must hold",
    }


_LETTER: Final[Schema] = {
    "type": "object",
    "required": ["run", "schedule_id", "event", "attempts", "reason", "state"],
    "properties": {
        "run": _TEXT, "schedule_id": _TEXT, "event": _TEXT, "attempts": {"type": "integer"}, "reason": _TEXT,
        "state": choice("open", "discarded", "replayed"), "finished": _INSTANT, "message": {},
        "mark": {
            "type": "object",
            "properties": {"at": _INSTANT, "reason": _TEXT, "by": _TEXT, "as": _TEXT},
            "description": "what was made of it: when, why, by whom, and as which run it was replayed",
        },
    },
}  # fmt: skip


def _page(items: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["items", "next_cursor"],
        "properties": {"items": {"type": "array", "items": items}, "next_cursor": {"type": ["string", "null"]}},
    }


REPAIR: Final[dict[str, Schema]] = {
    "ReplayRuns": closed(
        ["filter"], filter=_filter(RUN_QUERY, state=choice(*FINAL_STATES)), rate=_RATE, dry_run=_DRY_RUN
    ),
    "ReplayLetters": closed(["filter"], filter=_filter(LETTER_QUERY), rate=_RATE, dry_run=_DRY_RUN),
    "DiscardLetters": closed(
        ["filter", "reason"], filter=_filter(LETTER_QUERY), reason=_REASON, rate=_RATE, dry_run=_DRY_RUN
    ),
    "Discard": closed(["reason"], reason=_REASON),
    "Reopen": closed([], reason=_REASON),
    "DeadLetter": _LETTER,
    "DeadLetterPage": _page(_LETTER),
    "Expectations": {
        "type": "object",
        "required": ["as_of", "counts", "items"],
        "properties": {
            "as_of": _INSTANT,
            "counts": {
                "type": "object",
                "properties": {"overdue": {"type": "integer"}, "unanswered": {"type": "integer"}},
                "description": "of the namespace, up to 100,000 each",
            },
            "items": {"type": "array", "items": {"type": "object"}},
        },
    },
    "AuditPage": _page({"type": "object", "required": ["at", "operation", "outcome", "status", "writer", "seq"]}),
    "OperationPage": _page({"type": "object"}),
}
EXAMPLE: Final[dict[str, Any]] = {"filter": {"state": "failed", "event": "email.*"}, "rate": 50, "dry_run": True}

"""The public JSON of the API <-> the nouns of `model/`: one reading and one writing, shared by gateway, intake and engine.

Reads: bodies of REST calls, values of the inbox, bytes of `patch`. Keeps: nothing but small caches of pure answers.
Writes: nothing; it hands back nouns, documents and bytes.
Promises: whatever the bytes, only `Refused` (of which `NotJson` is one) is raised, with every problem at once, each under the
field as it was sent; `message` and `metadata` leave as they came, byte for byte.
Never: guesses a zone, drops a field it does not know, looks at a clock.
"""

from __future__ import annotations

from squirrel.wire.documents.batch import parse_batch
from squirrel.wire.documents.change import Changed, apply_patch, check_patch, parse_change
from squirrel.wire.documents.json_text import NotJson, read_document, read_json
from squirrel.wire.documents.pattern import RouteTable, best_route, pattern_matches, pattern_problem
from squirrel.wire.documents.render import (
    REDACTED,
    answer_json,
    document_of,
    next_run_ms,
    render_route,
    render_run,
    render_schedule,
    render_target,
)
from squirrel.wire.documents.route import parse_route, read_route_value, route_value
from squirrel.wire.documents.rule import check_calendars
from squirrel.wire.documents.schedule import NewSchedule, parse_schedule
from squirrel.wire.documents.target import TargetPolicy
from squirrel.wire.documents.when import parse_when_document

__all__ = [
    "REDACTED",
    "Changed",
    "NewSchedule",
    "NotJson",
    "RouteTable",
    "TargetPolicy",
    "answer_json",
    "apply_patch",
    "best_route",
    "check_calendars",
    "check_patch",
    "document_of",
    "next_run_ms",
    "parse_batch",
    "parse_change",
    "parse_route",
    "parse_schedule",
    "parse_when_document",
    "pattern_matches",
    "pattern_problem",
    "read_document",
    "read_json",
    "read_route_value",
    "render_route",
    "render_run",
    "render_schedule",
    "render_target",
    "route_value",
]

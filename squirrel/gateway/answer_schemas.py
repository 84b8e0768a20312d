"""The JSON schemas of what callers receive. Open: later releases add fields, and clients must not stumble over them."""

from __future__ import annotations

from typing import Any, Final

from squirrel.gateway.problems import KINDS, TYPE_PREFIX
from squirrel.gateway.schemas import Schema, ref
from squirrel.model.schedule import RunState, State

_INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer"}
_CURSOR: Final[Schema] = {
    "type": ["string", "null"],
    "description": "send it as `cursor` for the next page; null ends the list",
}


def _open(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _page(items: Schema) -> Schema:
    return _open(["items", "next_cursor"], items=_list(items), next_cursor=_CURSOR, warnings=_list(_TEXT))


RECEIVED: Final[dict[str, Schema]] = {
    "Schedule": _open(
        ["id", "namespace", "event", "when", "revision", "state", "next_run"],
        id=_TEXT,
        namespace=_TEXT,
        event=_TEXT,
        name=_TEXT,
        description=_TEXT,
        tags=_list(_TEXT),
        metadata={"type": "object"},
        message={},
        target=_or_null({"type": "object"}),
        when={"type": "object"},
        retry=_or_null({"type": "object"}),
        fire_and_forget={"type": "boolean"},
        fallback=_list({"type": "object"}),
        overlap=_TEXT,
        missed=_TEXT,
        revision={**_WHOLE, "minimum": 1},
        state={"type": "string", "enum": [str(state) for state in State if state is not State.UNKNOWN]},
        next_run=_or_null(_INSTANT),
        created_at=_INSTANT,
        updated_at=_INSTANT,
        reason=_TEXT,
        last_run={"type": "object"},
        warnings=_list(_TEXT),
    ),
    "SchedulePage": _page(ref("Schedule")),
    "Accepted": _open(
        ["id", "accepted"], id=_TEXT, accepted={"type": "boolean"}, location=_TEXT, warnings=_list(_TEXT)
    ),
    "BatchAnswer": _open(
        ["results"],
        results=_list(
            _open(
                ["id", "status"],
                id={"type": ["string", "null"]},
                status={"type": "integer", "enum": [201, 202, 400, 409, 413, 422, 503]},
                error=ref("Problem"),
                warnings=_list(_TEXT),
            )
        ),
    ),
    "Attempt": _open(
        ["number", "due", "emitted", "state"],
        number={**_WHOLE, "minimum": 1},
        due=_INSTANT,
        emitted=_INSTANT,
        picked_up=_INSTANT,
        started=_INSTANT,
        finished=_INSTANT,
        state=_TEXT,
        target={"type": "object"},
        status={"type": ["integer", "null"]},
        headers={"type": "object"},
        body=_TEXT,
        body_truncated={"type": "boolean"},
        error=_open(["type", "detail"], type=_TEXT, detail=_TEXT),
    ),
    "Run": _open(
        ["id", "schedule_id", "namespace", "event", "slot", "due", "state", "attempts"],
        id=_TEXT,
        schedule_id=_TEXT,
        namespace=_TEXT,
        event=_TEXT,
        slot=_INSTANT,
        due=_INSTANT,
        state={"type": "string", "enum": [str(state) for state in RunState]},
        attempts=_list(ref("Attempt")),
        replay_of=_TEXT,
        triggered_by=_TEXT,
        finished=_INSTANT,
        reason=_TEXT,
    ),
    "RunPage": _page(ref("Run")),
    "Route": _open(
        ["pattern", "target"],
        pattern=_TEXT,
        target={"type": "object"},
        retry=_or_null({"type": "object"}),
        fallback=_list({"type": "object"}),
        flow=_or_null({"type": "object"}),
        created_at=_INSTANT,
        updated_at=_INSTANT,
    ),
    "RoutePage": _page(ref("Route")),
    "Stats": _open(
        ["engine", "backlog", "lateness_ms", "runs", "gateway"],
        engine={"type": "object"},
        backlog={"type": "object"},
        lateness_ms={"type": "object"},
        runs={"type": "object"},
        gateway={"type": "object"},
        kafka={"type": "object"},
    ),
    "Problem": {
        "description": "RFC 9457.",
        **_open(
            ["type", "title", "status", "detail"],
            type={"type": "string", "enum": [TYPE_PREFIX + kind for kind in KINDS]},
            title=_TEXT,
            status=_WHOLE,
            detail={**_TEXT, "description": "what is wrong and what to do about it"},
            errors=_list(_open(["field", "reason"], field=_TEXT, reason=_TEXT)),
            run=ref("Run"),
        ),
    },
}


def json_content(name: str, example: Any = None) -> dict[str, Any]:
    """The content object of a JSON answer or body."""
    content: dict[str, Any] = {"schema": ref(name)}
    if example is not None:
        content["example"] = example
    return {"application/json": content}

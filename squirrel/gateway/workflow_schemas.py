"""The JSON schemas of workflows and their runs: sent and received."""

from __future__ import annotations

from typing import Any, Final

from squirrel.gateway.schemas import Schema, closed, listed, number, ref, text, whole
from squirrel.gateway.workflow_view import RUN_PHASES
from squirrel.model.limits import (
    FAN_OUT_ITEMS_MAX,
    SECONDS_MAX,
    STEP_ID_CHARS_MAX,
    WORKFLOW_NAME_CHARS_MAX,
    WORKFLOW_STEPS_MAX,
)
from squirrel.wire.documents.workflow import NAME

_TEXT: Final[Schema] = {"type": "string"}
_INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
_MAYBE: Final[Schema] = {"anyOf": [_INSTANT, {"type": "null"}]}
_WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}


def _open(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def _page(items: Schema) -> Schema:
    return _open(
        ["items", "next_cursor"], items={"type": "array", "items": items}, next_cursor={"type": ["string", "null"]}
    )


_STEP: Final[Schema] = {
    "type": "object",
    "required": ["id"],
    "description": "docs/workflows.md says what each field does",
    "properties": {
        "id": text(STEP_ID_CHARS_MAX, r"^[a-z]{1,8}$"),
        "target": ref("Target"),
        "message": {
            "description": "any JSON; strings may hold {{ input.x }}, {{ steps.a.body.y }}, {{ item }}, {{ index }}"
        },
        "delay_seconds": number(0, SECONDS_MAX // 2),
        "timeout_seconds": number(1, SECONDS_MAX // 2),
    },
}
_RUN: Final[dict[str, Schema]] = {
    "id": _TEXT, "namespace": _TEXT, "workflow": _TEXT, "version": _WHOLE, "reason": _TEXT, "run": _TEXT,
    "state": {"type": "string", "enum": list(RUN_PHASES)}, "created": _INSTANT, "started": _MAYBE, "finished": _MAYBE,
    "steps_by_state": {"type": "object"}, "started_by": {"type": "object"},
}  # fmt: skip
_RUN_REQUIRED: Final = ["id", "workflow", "version", "state", "created", "started", "finished"]
WORKFLOWS: Final[dict[str, Schema]] = {
    "NewWorkflow": {
        **closed(["steps"], steps=listed({**_STEP, "required": ["id", "target"]}, 1, 1)),
        "description": f"Up to {WORKFLOW_STEPS_MAX} steps, each with an id of its own. A step may have `after`, `join`, `if`, "
        f"`when`, `retry`, `fallback`, `guarantee`, `for_each` (up to {FAN_OUT_ITEMS_MAX} items), `parallelism` and "
        "`compensate`.",
    },
    "Start": closed(
        [],
        input={"description": "any JSON, up to 64 KiB"},
        when={**ref("When"), "description": "makes a schedule that starts runs"},
    ),
    "StepOf": closed([], step=text(STEP_ID_CHARS_MAX, r"^[A-Za-z_][A-Za-z0-9_]*$")),
    "Workflow": _open(
        ["name", "version", "steps", "created_at", "updated_at"],
        name=_TEXT, version=_WHOLE, description=_TEXT, steps={"type": "array", "items": {"type": "object"}},
        timeout_seconds={"type": "number"}, created_at=_INSTANT, updated_at=_INSTANT,
    ),
    "WorkflowPage": _page(
        _open(["name", "version", "steps"], name=_TEXT, version=_WHOLE, steps={"type": "array", "items": _TEXT})
    ),
    "WorkflowRevisionPage": _page(_open(["version", "current", "updated_at"], version=_WHOLE, updated_at=_INSTANT)),
    "WorkflowRun": _open(
        [*_RUN_REQUIRED, "steps"], **_RUN, input={},
        steps={
            "type": "array",
            "items": _open(
                ["id", "state", "tries"],
                id=_TEXT, state=_TEXT, after={"type": "array", "items": _TEXT}, tries=_WHOLE, ready=_MAYBE, due=_MAYBE,
                finished=_MAYBE, reason=_TEXT, schedule=_TEXT, run=_TEXT, items={"type": "object"}, compensation=_TEXT,
            ),
        },
    ),
    "WorkflowRunPage": _page(_open(_RUN_REQUIRED, **_RUN)),
}  # fmt: skip
WORKFLOW_NAME: Final = text(WORKFLOW_NAME_CHARS_MAX, NAME, examples=["order-follow-up"])
VERSION: Final[dict[str, Any]] = whole(1, 1_000_000_000)

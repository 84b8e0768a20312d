"""A schedule as scheduler-service shows a job: every key always there, null when unset."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from squirrel.gateway.compat.calling import dialect_fields
from squirrel.model.instants import format_instant, format_instant_or_none
from squirrel.model.schedule import LastRun, Row, RunState, State
from squirrel.wire.documents.render import next_run_ms

# What no retry mends: the reasons the engine gives for a final failure (engine/runs.py, executor/targets/verdict.py).
_PERMANENT: Final = re.compile(
    r"(?:refused_by_guard|bad_target): .*|(?:status: )?the target answered 4(?!29)\d\d\b.*", re.DOTALL
)


def job_document(row: Row, retrying: str | None = None) -> dict[str, Any]:
    """`retrying` is the text of a failed attempt whose retry is still to come."""
    spec = row.spec
    fields = dialect_fields(spec)
    due_ms = next_run_ms(row)
    return {
        "id": row.id,
        "name": spec.name,
        "description": spec.description if fields.get("description") else None,
        "type": "http",
        "target": fields.get("target"),
        "payload": orjson.Fragment(spec.message) if fields.get("payload") else None,
        "cron_expression": fields.get("cron_expression"),
        "schedule_type": fields.get("schedule_type"),
        "specific_time": format_instant_or_none(spec.when.at_ms),
        "interval": fields.get("interval"),
        "interval_value": fields.get("interval_value"),
        "status": status_of(row),
        "created_at": format_instant(row.created_ms),
        "updated_at": format_instant(row.updated_ms or row.created_ms),
        "last_run": format_instant_or_none(_last_run_ms(row)),
        "next_run": None if due_ms is None else format_instant(due_ms // 1000 * 1000),
        "error_message": _error_message(row, retrying),
    }


def status_of(row: Row) -> str:
    """active, inactive (paused) or failed (a failure that no retry mends)."""
    if row.state is State.PAUSED:
        return "inactive"
    if row.state is State.FAILED:
        return "failed"
    fields = dialect_fields(row.spec)
    if row.last is not None and row.last.finished_ms > fields.get("status_ms", 0):
        return "failed" if _is_permanent(row.last) else "active"
    return "failed" if fields.get("status") == "failed" else "active"


def _is_permanent(last: LastRun) -> bool:
    return last.state is RunState.FAILED and _PERMANENT.fullmatch(last.reason) is not None


def _last_run_ms(row: Row) -> int | None:
    called = max((run.emitted_ms for run in row.runs if run.emitted_ms and run.attempt), default=None)
    if called is not None:
        return called
    return row.last.finished_ms if row.last is not None and row.last.attempts else None


def _error_message(row: Row, retrying: str | None) -> str | None:
    if retrying is not None:
        return _temporary(retrying)
    if row.state is State.FAILED:
        return row.reason
    last = row.last
    if last is None or last.state is not RunState.FAILED or (status_of(row) == "active" and _is_permanent(last)):
        return None
    return last.reason if _is_permanent(last) else _temporary(last.reason)


def _temporary(text: str) -> str:
    return f"Temporary failure: {text}. The job will be retried."

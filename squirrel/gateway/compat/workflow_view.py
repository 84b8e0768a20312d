"""A schedule and its runs as the Workflow seed shows them, wherever they were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import orjson

from squirrel.gateway.compat.calling import dialect_fields
from squirrel.gateway.compat.workflow_body import ACTIVE, DIALECT, PRIORITY_DEFAULT
from squirrel.model.ids import run_id
from squirrel.model.instants import format_instant, format_instant_or_none, parse_instant
from squirrel.model.schedule import Row, RunState, Spec, State, missed_policy
from squirrel.model.target import HttpTarget
from squirrel.wire.documents import render_target
from squirrel.wire.documents.render import next_run_ms

BY_HAND: Final = "manual"  # who triggered a run, when the caller gave no name
CATCH_UP_MS: Final = 1_000  # emitted later than this after its slot, a run makes up for a missed one
_STATUSES: Final = {
    "scheduled": "pending", "in_flight": "running", "retry_wait": "pending", "succeeded": "success", "sent": "success",
    "failed": "failed", "skipped": "skipped", "missed": "skipped", "cancelled": "cancelled",
}  # fmt: skip
STATUSES: Final = ("pending", "running", "success", "failed", "skipped", "cancelled", "timeout")


def schedule_document(row: Row) -> dict[str, Any]:
    """All keys of the seed, in its order, then those its command line reads; what is empty is left out where it does so."""
    spec, fields = row.spec, dialect_fields(row.spec)
    is_live = row.state in (State.ACTIVE, State.WAITING)
    document: dict[str, Any] = {
        "id": row.id,
        "name": spec.name,
        "description": spec.description or None,
        "cron_expression": spec.when.cron or "",
        "timezone": spec.when.timezone or "UTC",
        **_target(spec, fields),
        "target_payload": None if spec.message in (b"null", b"{}") else orjson.Fragment(spec.message),
        "status": _status(row, fields),
        "enabled": is_live,
        "overlap_policy": spec.overlap,
        "max_retries": 0 if spec.retry is None else spec.retry.max_retries,
        "retry_strategy": "exponential" if spec.retry is None else spec.retry.strategy,
        "timeout_seconds": fields.get("timeout_seconds", _timeout_seconds(spec)),
        "catch_up_missed": missed_policy(spec) == "run_all",
        "tags": list(spec.tags) or None,
        "priority": fields.get("priority") or PRIORITY_DEFAULT,
        "owner": fields.get("owner") or None,
        "team": fields.get("team") or None,
        "created_at": format_instant(row.created_ms),
        "updated_at": format_instant(row.updated_ms or row.created_ms),
        "last_executed_at": format_instant_or_none(_last_ms(row)),
        "next_execution_at": format_instant_or_none(next_run_ms(row)),
    }
    document = {name: value for name, value in document.items() if value is not None}
    document["next_run"] = document.get("next_execution_at")
    document["last_run"] = document.get("last_executed_at")
    document["consecutive_failures"] = row.failures_in_a_row
    return document


def _target(spec: Spec, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Headers hide their secrets, as everywhere."""
    target = spec.target
    if not isinstance(target, HttpTarget):
        kind = "route" if target is None else str(render_target(target)["type"])
        return {"target_type": kind, "target_method": ""}
    headers = render_target(target)["headers"]
    return {
        "target_type": fields.get("target_type") or "webhook",
        "target_url": fields.get("target_url") or target.url,
        "target_workflow_id": fields.get("target_workflow_id") or None,
        "target_method": target.method,
        "target_headers": headers or None,
    }


def _timeout_seconds(spec: Spec) -> int | float:
    if spec.dialect == DIALECT or spec.target is None:
        return 0  # not said, so the 30 s that 0 stands for
    return spec.target.timeout_ms // 1000


def _status(row: Row, fields: Mapping[str, Any]) -> str:
    said = str(fields.get("status") or ACTIVE)
    if row.state is State.PAUSED:
        return said if said != ACTIVE else "paused"
    return ACTIVE if row.state in (State.ACTIVE, State.WAITING) else "archived"


def _last_ms(row: Row) -> int | None:
    called = max((run.first_emitted_ms for run in row.runs if run.attempt), default=0)
    if called:
        return called
    return row.last.finished_ms if row.last is not None and row.last.attempts else None


def execution_id(run: str) -> str:
    """A run's id in the form of a UUID."""
    digits = run.removeprefix("run_")
    return str(UUID(hex=digits)) if len(digits) == 32 else run


def run_of(execution: str) -> str:
    """The run that an execution's id names, whatever its form."""
    try:
        return f"run_{UUID(execution).hex}"
    except ValueError:
        return execution


def execution_document(run: Mapping[str, Any]) -> dict[str, Any]:
    """An execution out of a run as the native API shows it; what is not known yet is left out."""
    attempts = [each for each in run["attempts"] if "started" in each]
    first, last = (attempts[0], attempts[-1]) if attempts else ({}, {})
    slot_ms = parse_instant(run["slot"])
    is_slot = run["id"] == run_id(run["namespace"], run["schedule_id"], slot_ms)
    replayed = run.get("replay_of") is not None
    emitted = first.get("emitted") or (run["attempts"][0]["emitted"] if run["attempts"] else None)
    is_late = emitted is not None and parse_instant(emitted) - slot_ms > CATCH_UP_MS
    duration_ms = parse_instant(last["finished"]) - parse_instant(last["started"]) if last else None
    is_over = run["state"] not in (RunState.IN_FLIGHT, RunState.RETRY_WAIT, RunState.SCHEDULED)
    document = {
        "id": execution_id(run["id"]),
        "schedule_id": run["schedule_id"],
        "scheduled_time": run["slot"],
        "start_time": first.get("started"),
        "end_time": run.get("finished") or (last.get("finished") if is_over else None),
        "duration_ms": duration_ms,
        "execution_time_ms": duration_ms,
        "status": status_of(run, last),
        "attempt_count": max((each["number"] for each in run["attempts"]), default=0),
        "response_code": last.get("status"),
        "response_body": last.get("body"),
        "error_message": error_message(run, last),
        "is_manual_trigger": not is_slot and not replayed,
        "is_catch_up": is_slot and is_late,
        "triggered_by": _triggered_by(run, is_slot, is_late),
    }
    return {name: value for name, value in document.items() if value is not None}


def status_of(run: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    """The seed's word for where a run stands; a failure by timeout has its own."""
    if run["state"] == RunState.FAILED and last.get("error", {}).get("type") == "timeout":
        return "timeout"
    return _STATUSES[run["state"]]


def error_message(run: Mapping[str, Any], last: Mapping[str, Any]) -> str | None:
    """`HTTP error: 503`, or what kept the call from an answer."""
    if run["state"] in (RunState.SUCCEEDED, RunState.SENT):
        return None
    error = last.get("error")
    if error is None:
        return run.get("reason") or None
    if error["type"] == "status" and last.get("status") is not None:
        return f"HTTP error: {last['status']}"
    return str(error["detail"])


def _triggered_by(run: Mapping[str, Any], is_slot: bool, is_late: bool) -> str:
    if run.get("replay_of") is not None:
        return "retry_handler"
    if not is_slot:
        return str(run.get("triggered_by") or BY_HAND)
    return "catch_up_handler" if is_late else "scheduler"

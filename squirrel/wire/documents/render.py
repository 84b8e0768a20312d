"""Answers: a row, a run, a route as api.md shows them. Message and metadata stand in them byte for byte.

`answer_json` encodes what these functions return; other encoders do not know `orjson.Fragment`.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from squirrel.model.instants import format_instant, format_instant_or_none
from squirrel.model.schedule import LastRun, OpenRun, Row, RunState, Spec, State, missed_policy
from squirrel.model.target import Route, Target
from squirrel.wire.documents.flow import flow_document
from squirrel.wire.documents.retry import retry_document, seconds_of
from squirrel.wire.documents.target import REDACTED, fallback_document, target_document
from squirrel.wire.documents.when import when_document

_TO_COME: Final = (RunState.SCHEDULED, RunState.RETRY_WAIT)


def answer_json(value: Any) -> bytes:
    """JSON bytes of an answer, raw messages embedded as they are."""
    return orjson.dumps(value)


def document_of(spec: Spec, *, redact: bool = False) -> dict[str, Any]:
    """The public document whose parsing gives `spec` again; `redact` hides secret headers, as every answer does."""
    document: dict[str, Any] = {
        "event": spec.event,
        "name": spec.name,
        "description": spec.description,
        "tags": list(spec.tags),
        "metadata": orjson.Fragment(spec.metadata),
        "message": orjson.Fragment(spec.message),
        "target": None if spec.target is None else target_document(spec.target, redact=redact),
        "when": when_document(spec.when),
        "retry": None if spec.retry is None else retry_document(spec.retry),
        "fire_and_forget": spec.fire_and_forget,
        "fallback": [fallback_document(each, redact=redact) for each in spec.fallback],
        "overlap": spec.overlap,
        "missed": spec.missed,
        "keep_response": spec.keep_response,
        "guarantee": "at_most_once" if spec.at_most_once else "at_least_once",
        "max_lateness_seconds": None if spec.max_lateness_ms is None else seconds_of(spec.max_lateness_ms),
        "group": spec.group,
        "flow": None if spec.flow is None else flow_document(spec.flow),
        "retention_seconds": seconds_of(spec.retention_ms),
    }
    return document


def render_target(target: Target) -> dict[str, Any]:
    """A target as answers show it: secret headers hidden."""
    return target_document(target, redact=True)


def render_schedule(row: Row, warnings: list[str] | None = None) -> dict[str, Any]:
    """A schedule as GET answers it. `missed` shows the policy that holds, also when nobody chose it."""
    answer: dict[str, Any] = {"id": row.id, "namespace": row.namespace, **document_of(row.spec, redact=True)}
    answer["missed"] = missed_policy(row.spec)
    answer["revision"] = row.revision
    answer["state"] = str(row.state)
    answer["next_run"] = format_instant_or_none(next_run_ms(row))
    answer["created_at"] = format_instant(row.created_ms)
    answer["updated_at"] = format_instant(row.updated_ms or row.created_ms)
    if row.reason:
        answer["reason"] = row.reason
    if row.last is not None:
        answer["last_run"] = render_last_run(row.last)
    if warnings:
        answer["warnings"] = warnings
    return answer


def next_run_ms(row: Row) -> int | None:
    """The next instant at which something of it is to be called, spread and waits for a retry included.

    None: paused, waiting for its parents, finished, or nothing but a call that is under way.
    """
    if row.state is not State.ACTIVE:
        return None
    due = [run.due_ms for run in row.runs if run.state in _TO_COME]
    if row.slot_ms is not None:
        due.append(row.slot_ms + _spread_ms(row))
    return min(due, default=None)


def _spread_ms(row: Row) -> int:
    if not row.spec.when.spread_seconds:
        return 0
    # Imported here: most schedules have no spread, and a service that sees only those need not pay for the room.
    from squirrel.recurrence import spread_offset_ms

    return spread_offset_ms(f"{row.namespace}/{row.id}", row.spec.when.spread_seconds)


def render_last_run(last: LastRun) -> dict[str, Any]:
    """The newest finished run, as a schedule shows it."""
    answer: dict[str, Any] = {
        "id": last.id,
        "slot": format_instant(last.slot_ms),
        "state": str(last.state),
        "attempts": last.attempts,
        "finished": format_instant(last.finished_ms),
    }
    return {**answer, "reason": last.reason} if last.reason else answer


def render_run(run: OpenRun, row: Row) -> dict[str, Any]:
    """A run that has no final outcome yet. Its finished attempts are the history's; here is the one in flight, if any."""
    answer: dict[str, Any] = {
        "id": run.id,
        "schedule_id": row.id,
        "namespace": row.namespace,
        "event": row.event,
        "slot": format_instant(run.slot_ms),
        "due": format_instant(run.due_ms),
        # One that its flow holds back, or that waits for a route, has not been called yet.
        "state": str(RunState.SCHEDULED if run.state is RunState.RETRY_WAIT and not run.attempt else run.state),
        "attempts": [],
    }
    if run.state is RunState.IN_FLIGHT and run.attempt > 0:
        attempt = {"number": run.attempt, "due": format_instant(run.due_ms), "emitted": format_instant(run.emitted_ms)}
        answer["attempts"] = [{**attempt, "state": str(RunState.IN_FLIGHT)}]
    if run.replay_of is not None:
        answer["replay_of"] = run.replay_of
    if run.triggered_by:
        answer["triggered_by"] = run.triggered_by
    return answer


def render_route(route: Route) -> dict[str, Any]:
    """A route as GET answers it."""
    return {
        "pattern": route.pattern,
        "target": render_target(route.target),
        "retry": None if route.retry is None else retry_document(route.retry),
        "fallback": [fallback_document(each, redact=True) for each in route.fallback],
        "flow": None if route.flow is None else flow_document(route.flow),
        "created_at": format_instant(route.created_ms),
        "updated_at": format_instant(route.updated_ms),
    }


__all__ = [
    "REDACTED",
    "answer_json",
    "document_of",
    "next_run_ms",
    "render_last_run",
    "render_route",
    "render_run",
    "render_schedule",
    "render_target",
]

"""Runs as the API shows them: what the history knows and what the schedule's row knows, made one.

The history is written after the fact and the row is the truth of now, so: a run that is over in the history is shown as it
stands there; else the row's word counts, with the finished attempts of the history beside it. `run_document` is the only
place that decides this, for lists and for single runs alike.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from squirrel.model.instants import format_instant
from squirrel.model.schedule import RUN_FINAL, LastRun, OpenRun, Row
from squirrel.stores.history import AttemptRecord, DeadLetterRecord, Run
from squirrel.wire.documents import render_run

_FINAL: Final = frozenset(str(state) for state in RUN_FINAL)


def is_final(run: Run | None) -> bool:
    """Whether the history has seen the end of this run."""
    return run is not None and run.record.finished_ms is not None and run.record.state in _FINAL


def run_document(run_id: str, run: Run | None, row: Row | None) -> dict[str, Any] | None:
    """The run, from either or both; None when neither knows it."""
    if run is not None and (is_final(run) or row is None):
        document = run_from_history(run)
        if row is not None and "triggered_by" not in document and (name := _triggered_by(run_id, row)):
            document["triggered_by"] = name  # the attempt is in the history, its run's outcome comes a moment later
        return document
    if row is not None:
        for open_run in row.runs:
            if open_run.id == run_id:
                return open_run_document(open_run, row, run)
        if row.last is not None and row.last.id == run_id:
            return run_from_last(row.last, row, run)
    return None if run is None else run_from_history(run)


def _triggered_by(run_id: str, row: Row) -> str:
    if row.last is not None and row.last.id == run_id:
        return row.last.triggered_by
    return next((each.triggered_by for each in row.runs if each.id == run_id), "")


def run_from_history(run: Run) -> dict[str, Any]:
    """A run as the history knows it."""
    record = run.record
    document: dict[str, Any] = {
        "id": record.id,
        "schedule_id": record.schedule_id,
        "namespace": record.namespace,
        "event": record.event,
        "slot": format_instant(record.slot_ms),
        "due": format_instant(record.due_ms),
        "state": record.state,
        "attempts": attempts_of(run),
    }
    if record.replay_of is not None:
        document["replay_of"] = record.replay_of
    if record.triggered_by:
        document["triggered_by"] = record.triggered_by
    if record.finished_ms is not None:
        document["finished"] = format_instant(record.finished_ms)
    if record.reason:
        document["reason"] = record.reason
    return document


def open_run_document(open_run: OpenRun, row: Row, run: Run | None = None) -> dict[str, Any]:
    """A run that is not over: the row's state, the attempts that are over from the history."""
    document = render_run(open_run, row)
    if run is not None:
        finished = attempts_of(run)
        numbers = {each["number"] for each in finished}
        document["attempts"] = finished + [each for each in document["attempts"] if each["number"] not in numbers]
    return document


def run_from_last(last: LastRun, row: Row, run: Run | None = None) -> dict[str, Any]:
    """The newest finished run of a schedule before the history has seen its end."""
    document: dict[str, Any] = {
        "id": last.id,
        "schedule_id": row.id,
        "namespace": row.namespace,
        "event": row.event,
        "slot": format_instant(last.slot_ms),
        "due": format_instant(last.slot_ms if run is None else run.record.due_ms),
        "state": str(last.state),
        "attempts": [] if run is None else attempts_of(run),
        "finished": format_instant(last.finished_ms),
    }
    said = {"triggered_by": last.triggered_by, "reason": last.reason}
    return {**document, **{name: value for name, value in said.items() if value}}


def attempts_of(run: Run) -> list[dict[str, Any]]:
    """The finished attempts, by number."""
    return [_attempt(attempt) for attempt in run.attempts]


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    document: dict[str, Any] = {
        "number": attempt.number,
        "due": format_instant(attempt.due_ms),
        "emitted": format_instant(attempt.emitted_ms),
        "picked_up": format_instant(attempt.picked_up_ms),
        "started": format_instant(attempt.started_ms),
        "finished": format_instant(attempt.finished_ms),
        "state": attempt.state,
        "target": orjson.Fragment(attempt.target),
        "status": attempt.status,
        "headers": orjson.Fragment(attempt.headers),
        "body": attempt.body,
        "body_truncated": attempt.body_truncated,
    }
    if attempt.stage:
        document["fallback"] = attempt.stage  # whose attempt it was: 1 the first fallback's
    if attempt.error_type:
        document["error"] = {"type": attempt.error_type, "detail": attempt.error_detail}
    return document


def dead_letter_document(letter: DeadLetterRecord) -> dict[str, Any]:
    """A run that used up its attempts, with what a replay would send, and what was made of it."""
    document: dict[str, Any] = {
        "run": letter.run,
        "schedule_id": letter.schedule_id,
        "namespace": letter.namespace,
        "event": letter.event,
        "slot": format_instant(letter.slot_ms),
        "due": format_instant(letter.due_ms),
        "attempts": letter.attempts_count,
        "finished": format_instant(letter.finished_ms),
        "reason": letter.reason,
        "target": orjson.Fragment(letter.target),
        "message": orjson.Fragment(letter.message),
        "last": orjson.Fragment(letter.last),
        "state": letter.state,
    }
    if letter.mark is not None:
        mark = letter.mark
        said = {"at": format_instant(mark.marked_ms), "reason": mark.reason, "by": mark.actor, "as": mark.replayed_as}
        document["mark"] = {name: value for name, value in said.items() if value}
    return document

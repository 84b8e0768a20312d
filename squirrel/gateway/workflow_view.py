"""A workflow's run as the API shows it: its row's word on every step, and what the schedules of waiting steps say of now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

from squirrel.model.instants import format_instant, format_instant_or_none
from squirrel.model.schedule import Row, RunState, State
from squirrel.model.workflow import (
    Definition,
    Step,
    StepState,
    WorkflowState,
    decode_definition,
    run_of,
)
from squirrel.wire.documents import answer_json
from squirrel.wire.documents.render import next_run_ms

RUN_PHASES: Final = ("scheduled", "running", "paused", "stopping", "compensating", "succeeded", "failed", "cancelled")
_ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})


def phase_of(row: Row) -> str:
    """Where the run is, in one word of `RUN_PHASES`."""
    assert row.workflow is not None, "only of coordinators"
    if row.workflow.phase in _ENDED:
        return row.workflow.phase
    if row.state is State.CANCELLED:
        return "cancelled"
    if not row.workflow.run:
        return "scheduled"
    return "paused" if row.workflow.paused else row.workflow.phase


def run_summary(row: Row) -> dict[str, Any]:
    """Without its steps, as lists show it."""
    state = row.workflow
    assert state is not None, "only of coordinators"
    definition = decode_definition(state.definition)
    document: dict[str, Any] = {
        "id": row.id,
        "namespace": row.namespace,
        "workflow": definition.name,
        "version": definition.version,
        "state": phase_of(row),
        "created": format_instant(row.created_ms),
        "started": format_instant_or_none(state.began_ms or None),
        "finished": format_instant_or_none(state.finished_ms or None),
        "steps_by_state": dict(Counter(each.state for each in state.steps)),
    }
    if state.run:
        document["run"] = state.run
    if state.reason:
        document["reason"] = state.reason
    if state.starter is not None:
        document["started_by"] = {"schedule": state.starter[0], "run": state.starter[1]}
    return document


def waiting_schedules(row: Row) -> list[str]:
    """The ids of the schedules that single steps wait for."""
    state = row.workflow
    assert state is not None, "only of coordinators"
    pairs = zip(decode_definition(state.definition).steps, state.steps, strict=False)
    return [run_of(row.id, step.id, each.tries) for step, each in pairs if each.state == "waiting" and not each.items]


def run_document(row: Row, waiting: Mapping[str, Row]) -> dict[str, Any]:
    """The whole run; `waiting` are the rows of `waiting_schedules` that were found."""
    state = row.workflow
    assert state is not None, "only of coordinators"
    definition: Definition = decode_definition(state.definition)
    states = state.steps or [StepState() for _ in definition.steps]
    document = run_summary(row)
    document["input"] = orjson.Fragment(row.spec.message)
    document["steps"] = [
        _step(row, state, step, each, waiting) for step, each in zip(definition.steps, states, strict=True)
    ]
    return document


def _step(row: Row, run: WorkflowState, step: Step, state: StepState, waiting: Mapping[str, Row]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": step.id,
        "state": state.state,
        "after": [each.step for each in step.after],
        "tries": state.tries,
        "ready": format_instant_or_none(state.ready_ms or None),
        "due": format_instant_or_none(state.due_ms or None),
        "finished": format_instant_or_none(state.finished_ms or None),
    }
    if state.reason:
        document["reason"] = state.reason
    if state.passed:
        document["skipped_by_hand"] = True
    if state.undone:
        document["compensation"] = state.undone
    if state.items:
        counts = Counter(item.state for item in state.items)
        document["items"] = {"total": len(state.items), **counts}
        document["failed_items"] = [
            {"index": index, "reason": item.reason} for index, item in enumerate(state.items) if item.state == "failed"
        ][:50]
    elif state.tries and not (state.passed and not state.answer):
        document["schedule"] = run_of(row.id, step.id, state.tries)
    if state.answer:
        told = orjson.loads(state.answer)
        document |= {name: told[name] for name in ("run", "status", "attempts") if name in told}
    found = waiting.get(document.get("schedule", ""))
    if found is not None:
        document |= _now(found)
    return document


def _now(row: Row) -> dict[str, Any]:
    """What the schedule of a waiting step does at this moment."""
    shown: dict[str, Any] = {"next_run": format_instant_or_none(next_run_ms(row))}
    run = next(iter(row.runs), None)
    if run is not None:
        shown |= {"run": run.id, "attempts": run.attempt, "due": format_instant(run.due_ms)}
        if run.state in (RunState.IN_FLIGHT, RunState.RETRY_WAIT):
            shown["state"] = str(run.state)
    return shown


def run_answer(row: Row, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The run without what its steps do at this moment: for answers to changes."""
    return Response(answer_json(run_document(row, {})), status, headers, "application/json")

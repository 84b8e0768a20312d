"""What is said of a run when it ends."""

from __future__ import annotations

from squirrel.model.instants import format_instant
from squirrel.model.schedule import OpenRun, Row, RunState
from squirrel.wire.public import Completion


def completion_of(
    row: Row, run: OpenRun, state: RunState, finished_ms: int, reason: str, status: int | None
) -> Completion:
    """The final outcome of a run, said once. By position: names take half as long again, and each run has one."""
    slot_ms, due_ms = run.slot_ms, run.due_ms
    slot = format_instant(slot_ms)
    return Completion(
        run.id,
        row.id,
        row.namespace,
        row.event,
        slot,
        slot if due_ms == slot_ms else format_instant(due_ms),
        state.value,
        run.attempt,
        format_instant(finished_ms),
        reason,
        status,
        run.replay_of,
        row.tags,
        finished_ms,
        slot_ms,
        due_ms,
        row.spec.retention_ms,
        run.stage,
        run.triggered_by,
    )

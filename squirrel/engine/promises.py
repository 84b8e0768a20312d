"""Attempts in flight whose answer comes by another way than the executor, or not at all. Pure.

An asynchronous target answers 202 and keeps its promise by a call to the gateway; an at_most_once attempt is recorded before it
is made. Both have an instant on the timeline (`OpenRun.until_ms`) at which they are given up: nothing waits in memory.
"""

from __future__ import annotations

from typing import NamedTuple

from squirrel.model.instants import format_instant
from squirrel.model.limits import ONCE_ANSWER_MS, ONCE_PICKED_UP_MS_MAX
from squirrel.model.schedule import OpenRun, Row
from squirrel.model.target import HttpTarget, Target
from squirrel.wire.public import AttemptError, Result, target_summary

UNKNOWN = "outcome unknown: the attempt was recorded before its call and no result came; it is never called again"
BROKEN = "the target promised an outcome (202) and neither completed the run nor sent a heartbeat in time"


def once_not_after_ms(run: OpenRun, now_ms: int) -> int:
    """Until when an executor may make the call of an at_most_once attempt."""
    return max(run.due_ms, now_ms) + ONCE_PICKED_UP_MS_MAX


def once_until_ms(run: OpenRun, target: Target, now_ms: int) -> int:
    """When its outcome is unknown for good."""
    return once_not_after_ms(run, now_ms) + target.timeout_ms + ONCE_ANSWER_MS


def completion_timeout_ms(target: Target | None) -> int | None:
    """How long a promise of this target holds; None when it gives none."""
    return target.completion_timeout_ms if isinstance(target, HttpTarget) else None


def promise(run: OpenRun, target: Target | None, result: Result) -> None:
    """The target has answered 202: the attempt stays in flight until it is completed or given up."""
    until_ms = result.finished_ms + (completion_timeout_ms(target) or 0)
    # A heartbeat may have come before it, and a repeat of it after one.
    run.until_ms = max(until_ms, run.until_ms or 0) if run.promised_ms else until_ms
    run.promised_ms = run.promised_ms or result.started_ms or result.finished_ms


def unanswered(row: Row, run: OpenRun, target: Target | None, now_ms: int) -> Result:
    """The failure of an attempt that is given up."""
    if run.promised_ms:
        return ended(row, run, target, now_ms, Ending("failed", error=AttemptError("timeout", BROKEN)))
    unknown = Ending("failed", error=AttemptError("unknown", UNKNOWN), final=row.spec.at_most_once)
    return ended(row, run, target, now_ms, unknown)


class Ending(NamedTuple):
    """How an attempt ended, in the words of a result."""

    state: str  # succeeded, failed
    body: str = ""
    error: AttemptError | None = None
    final: bool = False


def ended(row: Row, run: OpenRun, target: Target | None, now_ms: int, ending: Ending) -> Result:
    """The result of the attempt in flight, for the history and everyone downstream, as an executor would have said it."""
    started_ms = run.promised_ms or run.due_ms
    return Result(
        run=run.id,
        schedule_id=row.id,
        namespace=row.namespace,
        event=row.event,
        slot=format_instant(run.slot_ms),
        due=format_instant(run.due_ms),
        emitted=format_instant(run.emitted_ms),
        picked_up=format_instant(started_ms),
        started=format_instant(started_ms),
        finished=format_instant(now_ms),
        attempt=run.attempt,
        state=ending.state,
        target=target_summary(target),
        status=202 if run.promised_ms else None,
        body=ending.body,
        error=ending.error,
        finished_ms=now_ms,
        started_ms=started_ms,
        due_ms=run.due_ms,
        slot_ms=run.slot_ms,
        stage=run.stage,
        final=ending.final,
        replay_of=run.replay_of,
        retention_ms=row.spec.retention_ms,
    )

"""One attempt's outcome as the record that the rest of the world reads. Pure.

Source: api.md, "A run" and "Kafka". An attempt of a run that nobody waits for (fire and forget) says `sent`, whatever came of it.
"""

from __future__ import annotations

from typing import Any

from squirrel.model.instants import format_instant
from squirrel.wire.attempt import Outcome
from squirrel.wire.public import AttemptError, Headers, Result, cloud_event_headers, encode_public
from squirrel.wire.records import Execution

Record = tuple[bytes, bytes, Headers]


def result_record(execution: Execution, outcome: Outcome, picked_up_ms: int, target: dict[str, Any]) -> Record:
    """(key, JSON, CloudEvents headers). `target` is `target_summary` of the execution's target."""
    failed = outcome.state in ("failed", "gone")
    ending = "failed" if failed else outcome.state
    value = encode_public(
        Result(
            run=execution.run,
            schedule_id=execution.schedule,
            namespace=execution.namespace,
            event=execution.event,
            slot=format_instant(execution.slot_ms),
            due=format_instant(execution.due_ms),
            emitted=format_instant(execution.emitted_ms),
            picked_up=format_instant(picked_up_ms),
            started=format_instant(outcome.started_ms),
            finished=format_instant(outcome.finished_ms),
            attempt=execution.attempt,
            state=ending if execution.track else "sent",
            target=target,
            status=outcome.status,
            headers=outcome.headers,
            body=outcome.body.decode("utf-8", "replace"),
            body_truncated=outcome.truncated,
            error=AttemptError(outcome.error_type, outcome.error_detail) if outcome.error_type else None,
            finished_ms=outcome.finished_ms,
            started_ms=outcome.started_ms,
            due_ms=execution.due_ms,
            slot_ms=execution.slot_ms,
            stage=execution.stage,
            final=failed and not outcome.retryable,
            gone=outcome.state == "gone",
            retry_after_ms=outcome.retry_after_ms,
            replay_of=execution.replay_of,
            retention_ms=execution.retention_ms,
        )
    )
    headers = cloud_event_headers(
        "attempt.finished",
        execution.namespace,
        execution.schedule,
        attempt_id(execution),
        outcome.finished_ms,
    )
    return execution.schedule.encode(), value, headers


def attempt_id(execution: Execution) -> str:
    """`run/number`: the `ce_id` of its result, and what a repeat is known by."""
    return f"{execution.run}/{execution.attempt}"

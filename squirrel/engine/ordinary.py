"""The ordinary one-shot: due once, one target, nobody waits for it, no policy has a say, and its call succeeds. Pure.

Most schedules are like this, and a step fires thousands: the general way (`runs.fire_due`, `runs.answered`) asks a dozen
functions whether they have to do with the row. tests/unit/engine/test_ordinary.py holds both ways to one outcome.
"""

from __future__ import annotations

from squirrel.engine.endings import completion_of
from squirrel.engine.work import Work
from squirrel.model import retry as retries
from squirrel.model.ids import run_id
from squirrel.model.schedule import LastRun, OpenRun, Row, RunState, State
from squirrel.model.target import HttpTarget, KafkaTarget
from squirrel.wire.public import Result
from squirrel.wire.records import Execution

IN_FLIGHT = RunState.IN_FLIGHT


def fire_ordinary(work: Work, row: Row) -> bool:
    """Emit the run of a row that waits for nothing but its instant, which has come. False: not that simple, nothing is done."""
    spec, slot_ms = row.spec, row.slot_ms
    when, target = spec.when, spec.target
    if (
        slot_ms is None
        or slot_ms > work.horizon_ms
        or when.at_ms is None
        or row.runs
        or row.state is not State.ACTIVE
        or not isinstance(target, (HttpTarget, KafkaTarget))
        or when.spread_seconds
        or when.exclude
        or row.parents
        or row.releasing
        or row.expires_ms is not None
        or row.owed_until_ms is not None
        or spec.flow is not None
        or spec.fire_and_forget
        or spec.at_most_once
        or spec.max_lateness_ms is not None
        or spec.missed == "skip"
    ):
        return False
    policy = spec.retry
    if policy is None:
        route = work.route(row.namespace, row.event)
        policy = (route.retry if route is not None else None) or retries.DEFAULT
    now_ms = work.now_ms
    run = OpenRun(run_id(row.namespace, row.id, slot_ms), slot_ms, slot_ms, IN_FLIGHT, 1, 1, 0, now_ms)
    run.first_emitted_ms = now_ms
    if policy.deadline_ms is not None:
        run.stage_began_ms = slot_ms
    row.runs.append(run)
    row.slot_ms = None
    row.slots += 1
    row.wake_ms = None
    work.executions.append(
        Execution(
            run.id,
            1,
            row.namespace,
            row.id,
            row.event,
            slot_ms,
            slot_ms,
            now_ms,
            work.epoch,
            target,
            spec.message,
            True,
            0,
            None,
            spec.retention_ms,
            row.revision,
            spec.dialect,
            policy.rules,
        )
    )
    work.put(row)
    return True


def end_ordinary(work: Work, row: Row, result: Result) -> bool:
    """Finish a row whose one call succeeded and that has no more to come. False: not that simple, nothing is done."""
    runs = row.runs
    if (
        result.state != "succeeded"
        or len(runs) != 1
        or row.slot_ms is not None
        or row.spec.when.at_ms is None
        or row.state is not State.ACTIVE
        or row.has_children
        or row.spec.keep_response
        or row.releasing
        or row.expires_ms is not None
        or row.owed_until_ms is not None
    ):
        return False
    run = runs[0]
    if (
        run.id != result.run
        or run.attempt != result.attempt
        or run.state is not IN_FLIGHT
        or run.flow
        or work.listeners(row.namespace, row.event)
    ):
        return False
    finished_ms = result.finished_ms
    runs.clear()
    row.last = LastRun(run.id, run.slot_ms, RunState.SUCCEEDED, run.attempt, finished_ms, "", b"", run.triggered_by)
    row.successes += 1
    row.failures_in_a_row = 0
    work.completions.append(completion_of(row, run, RunState.SUCCEEDED, finished_ms, "", result.status))
    row.state = State.FINISHED
    row.updated_ms = work.now_ms
    row.expires_ms = row.wake_ms = work.now_ms + row.spec.retention_ms
    work.put(row)
    return True

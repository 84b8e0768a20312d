"""The life of a run: emitted, answered, tried again, finished. Pure: writes into the `Work` it is given."""

from __future__ import annotations

from msgspec import Raw

from squirrel.engine import answers, children, events, promises, workflows
from squirrel.engine.endings import completion_of
from squirrel.engine.flows import flow_of
from squirrel.engine.slots import HELD_KINDS, due_of, queued_run, take_due_slot, wake_of
from squirrel.engine.stages import route_for, stage_of, target_of
from squirrel.engine.work import Work
from squirrel.model import retry as retries
from squirrel.model.flow import Flow
from squirrel.model.ids import run_id
from squirrel.model.instants import format_instant
from squirrel.model.limits import CATCH_UP_SLOTS_MAX, NO_ROUTE_MS, RETRY_AFTER_MS_MAX
from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import FINAL, LastRun, OpenRun, Row, RunState, State
from squirrel.model.target import PluginTarget
from squirrel.recurrence import RuleError
from squirrel.wire.public import DeadLetter, Result, target_summary
from squirrel.wire.records import Command, Execution

ROUTE_WAIT_MS = 200  # between looks for a route that is being written


def fire_due(work: Work, row: Row) -> None:
    """Emit all that is due of a row: attempts that waited, then slots in order. Leaves the row's wake set."""
    for run in tuple(row.runs):
        if run.state is RunState.RETRY_WAIT and run.due_ms <= work.horizon_ms and _may_call(row, run):
            emit(work, row, run)
        elif run.until_ms is not None and run.until_ms <= work.horizon_ms and run.state is RunState.IN_FLIGHT:
            _give_up(work, row, run)
    if row.slot_ms is not None:
        try:
            _take_slots(work, row)
        except RuleError as error:
            fail(work, row, f"{error.field}: {error.reason}")
    settle(work, row)


def _take_slots(work: Work, row: Row) -> None:
    calendars = work.calendars(row.namespace)
    for _ in range(CATCH_UP_SLOTS_MAX):
        taken = take_due_slot(row, work.now_ms, work.horizon_ms, calendars)
        if taken is None:
            return
        open_slot(work, row, *taken)
        if row.slot_ms is None:
            return


def _may_call(row: Row, run: OpenRun) -> bool:
    return row.state is not State.PAUSED or run.kind not in HELD_KINDS


def open_slot(work: Work, row: Row, slot_ms: int, verdict: str, reason: str) -> None:
    """What a slot that was taken off the row becomes: a run, or the end of one."""
    run = OpenRun(run_id(row.namespace, row.id, slot_ms), slot_ms, due_of(row, slot_ms))
    if verdict == "run":
        row.runs.append(run)
        emit(work, row, run)
    elif verdict == "queue":
        row.runs.append(run)
    else:
        finish(work, row, run, RunState(verdict), work.now_ms, reason)


def emit(work: Work, row: Row, run: OpenRun) -> None:
    """Order the next attempt of a run; fire and forget without a fallback ends here."""
    route = route_for(work, row)
    target, policy, fallbacks = stage_of(row, run, route)
    if target is None:
        _wait_for_route(work, row, run)
        return
    if type(target) is PluginTarget and workflows.is_workflow(target):
        _end(work, row, run, workflows.emitted(work, row, run, target))
        return
    spec = row.spec
    message = spec.message if run.message is None else run.message
    if row.parents and answers.MARK in message:
        try:
            message = answers.filled(row, message)
        except answers.TooLarge as error:
            finish(work, row, run, RunState.FAILED, work.now_ms, str(error))
            return
    flow = flow_of(row, route)
    if flow is not None and not work.flows.admit(row, run, flow, work.now_ms, work.horizon_ms):
        return
    track = not spec.fire_and_forget or bool(fallbacks)
    began(work, row, run, policy, flow, track=track)
    not_after_ms = None
    if spec.at_most_once:
        not_after_ms = promises.once_not_after_ms(run, work.now_ms)
        run.until_ms = promises.once_until_ms(run, target, work.now_ms)
    executions = work.executions if not_after_ms is None else work.once
    executions.append(
        Execution(
            run.id,
            run.attempt,
            row.namespace,
            row.id,
            row.event,
            run.slot_ms,
            run.due_ms,
            work.now_ms,
            work.epoch,
            target,
            message,
            track,
            run.stage,
            run.replay_of,
            spec.retention_ms,
            row.revision,
            spec.dialect,
            policy.rules,
            not_after_ms,
        )
    )
    if not track:
        finish(work, row, run, RunState.SENT, max(work.now_ms, run.due_ms))


def began(work: Work, row: Row, run: OpenRun, policy: RetryPolicy, flow: Flow | None, *, track: bool) -> None:
    """The run's next attempt is ordered at this step's instant."""
    run.attempt += 1
    run.tries += 1
    run.state = RunState.IN_FLIGHT
    run.emitted_ms = work.now_ms
    run.first_emitted_ms = run.first_emitted_ms or work.now_ms
    if policy.deadline_ms is not None and run.tries == 1:
        run.stage_began_ms = run.due_ms
    if run.until_ms is not None:  # of the attempt before
        run.until_ms, run.promised_ms = None, 0
    if flow is not None:
        work.flows.began(row, run, flow, tracked=track)


def _wait_for_route(work: Work, row: Row, run: OpenRun) -> None:
    """No target and no route: it may be on its way (it was put a moment ago); then the run fails with the reason."""
    if work.now_ms - max(due_of(row, run.slot_ms), row.updated_ms) > NO_ROUTE_MS:
        finish(work, row, run, RunState.FAILED, work.now_ms, f"no target, and no route matches the event {row.event}")
        return
    run.state = RunState.RETRY_WAIT
    run.due_ms = max(run.due_ms, work.now_ms + ROUTE_WAIT_MS)


def answered(work: Work, row: Row, result: Result) -> bool:
    """Take one result: success, another attempt, the next fallback, or the end. False for a repeat or a stranger."""
    run = next((run for run in row.runs if run.id == result.run), None)
    if run is None or run.attempt != result.attempt or run.state is not RunState.IN_FLIGHT:
        return False
    take_answer(work, row, run, result)
    settle(work, row)
    return True


def take_answer(work: Work, row: Row, run: OpenRun, result: Result) -> None:
    """What the result of the attempt in flight means for its run. Leaves the settling to the caller."""
    if run.flow and result.state != "promised":
        work.flows.ended(row, run, result.started_ms, result.finished_ms)
    if result.state == "promised":
        promises.promise(run, target_of(work, row, run), result)
    elif result.state == "deferred" and _put_off(work, row, run, result):
        pass
    elif result.state not in ("failed", "deferred"):
        finish(work, row, run, RunState.SUCCEEDED, result.finished_ms, result=result)
    elif result.gone:
        finish(work, row, run, RunState.FAILED, result.finished_ms, "the target answered 410 Gone", result=result)
        stop(work, row, State.FINISHED, "the target answered 410 Gone: it wants nothing more of this schedule")
    elif not _try_again(work, row, run, result):
        _exhaust(work, row, run, result)


def _put_off(work: Work, row: Row, run: OpenRun, result: Result) -> bool:
    """The executor did not call, because the host fails: no try is used up. With a fallback left it counts, or it never comes."""
    _, policy, fallbacks = stage_of(row, run, route_for(work, row))
    due_ms = result.finished_ms + max(1, min(result.retry_after_ms or 0, RETRY_AFTER_MS_MAX))
    if row.state is State.CANCELLED or run.stage < len(fallbacks):
        return False
    if retries.too_late(policy, run.stage_began_ms, due_ms):
        return False
    if policy.deadline_ms is None or run.tries > 1:  # the deadline counts from the first, called or not
        run.tries -= 1
    run.due_ms = due_ms
    run.state = RunState.RETRY_WAIT
    return True


def _give_up(work: Work, row: Row, run: OpenRun) -> None:
    """No answer came in time: the attempt has failed, and its result is ours to report."""
    if row.workflow is not None:
        end_workflow(work, row, workflows.timed_out(work, row))
        return
    result = promises.unanswered(row, run, target_of(work, row, run), work.now_ms)
    work.results.append(result)
    take_answer(work, row, run, result)


def workflow_heard(work: Work, row: Row, command: Command) -> None:
    """A step of a workflow's run reached its outcome."""
    end_workflow(work, row, workflows.heard(work, row, command))
    settle(work, row)


def end_workflow(work: Work, row: Row, end: workflows.End | None) -> None:
    """The open run of a coordinator ends with it."""
    assert row.workflow is not None, "only coordinators come here"
    run = next((each for each in row.runs if each.id == row.workflow.run), None)
    if run is not None:
        _end(work, row, run, end)


def _end(work: Work, row: Row, run: OpenRun, end: workflows.End | None) -> None:
    if end is not None:
        finish(work, row, run, end.state, work.now_ms, end.reason)


def _try_again(work: Work, row: Row, run: OpenRun, result: Result) -> bool:
    if row.state is State.CANCELLED or run.superseded:
        return False
    _, policy, fallbacks = stage_of(row, run, route_for(work, row))
    due_ms = None if result.final else _next_try_ms(work, run, result, policy)
    if due_ms is not None:
        run.due_ms = due_ms
    elif run.stage < len(fallbacks):
        run.stage += 1
        run.tries = 0
        run.due_ms = max(result.finished_ms, run.due_ms)
    else:
        return False
    run.state = RunState.RETRY_WAIT
    return True


def _next_try_ms(work: Work, run: OpenRun, result: Result, policy: RetryPolicy) -> int | None:
    """When the current target is tried again; None when its attempts or its time are used up."""
    if retries.exhausted(policy, run.tries):
        return None
    wait_ms = retries.wait_ms(policy, run.tries - 1, work.draw())
    if result.retry_after_ms is not None:
        wait_ms = max(wait_ms, min(result.retry_after_ms, RETRY_AFTER_MS_MAX))
    due_ms = result.finished_ms + wait_ms
    return None if retries.too_late(policy, run.stage_began_ms, due_ms) else due_ms


def _exhaust(work: Work, row: Row, run: OpenRun, result: Result) -> None:
    reason = _failure_text(result)
    if run.superseded:
        reason = f"superseded by a forced change; its last attempt failed: {reason}"
        finish(work, row, run, RunState.CANCELLED, result.finished_ms, reason, result=result)
        return
    target, _, _ = stage_of(row, run, route_for(work, row))
    work.dead_letters.append(
        DeadLetter(
            run=run.id,
            schedule_id=row.id,
            namespace=row.namespace,
            event=row.event,
            slot=format_instant(run.slot_ms),
            due=format_instant(run.due_ms),
            attempts=run.attempt,
            finished=result.finished,
            reason=reason,
            target=target_summary(target),
            message=Raw(row.spec.message if run.message is None else run.message),
            last={"status": result.status, "body": result.body[:1024]},
            slot_ms=run.slot_ms,
            retention_ms=row.spec.retention_ms,
        )
    )
    finish(work, row, run, RunState.FAILED, result.finished_ms, reason, result=result)


def _failure_text(result: Result) -> str:
    if result.error is not None:
        return f"{result.error.type}: {result.error.detail}"
    return f"the target answered {result.status}"


def finish(
    work: Work,
    row: Row,
    run: OpenRun,
    state: RunState,
    finished_ms: int,
    reason: str = "",
    *,
    result: Result | None = None,
) -> None:
    """A run reached its final outcome: said once, remembered as `last`, and the children are told."""
    row.runs = [open_run for open_run in row.runs if open_run.id != run.id]
    answer = b""
    if row.has_children or row.spec.keep_response:
        answer = answers.answer_of(row, run, state, finished_ms, reason, result)
    row.last = LastRun(run.id, run.slot_ms, state, run.attempt, finished_ms, reason, answer, run.triggered_by)
    if state in (RunState.SUCCEEDED, RunState.SENT):
        row.successes += 1
        row.failures_in_a_row = 0
    elif state in (RunState.FAILED, RunState.MISSED):
        row.failures += 1
        row.failures_in_a_row += 1
    status = None if result is None else result.status
    work.completions.append(completion_of(row, run, state, finished_ms, reason, status))
    if run.kind != "replay":
        outcome = children.outcome_of(state)
        children.told_of(row, outcome, finished_ms, answer)
        events.tell(
            work,
            row,
            run,
            outcome,
            finished_ms,
            lambda: answer or answers.answer_of(row, run, state, finished_ms, reason, result),
        )


def settle(work: Work, row: Row) -> None:
    """After anything that may have ended a run: start a queued one, tell children, finish what has no future, set the wake."""
    if _only_waits_for_its_answer(row):
        row.wake_ms = None
        work.put(row)
        return
    queued = queued_run(row) if row.state in (State.ACTIVE, State.PAUSED) else None
    if queued is not None and _may_call(row, queued):
        queued.due_ms = max(queued.due_ms, work.now_ms)
        emit(work, row, queued)
    if row.owed_until_ms is not None and (row.slot_ms is None or row.slot_ms > row.owed_until_ms):
        row.owed_until_ms = None
    if row.state is State.ACTIVE and row.slot_ms is None and not row.runs and not events.listens(row):
        stop(work, row, State.FINISHED, row.reason)
    if row.runs and row.expires_ms is not None and row.expires_ms <= work.horizon_ms:
        row.expires_ms = work.now_ms + row.spec.retention_ms  # a replay is open: the row stays for its result
    children.tell(work, row)
    row.wake_ms = wake_of(row)
    work.put(row)


def _only_waits_for_its_answer(row: Row) -> bool:
    """The ordinary state after firing a one-shot: one call in flight and nothing else to see to."""
    runs = row.runs
    if len(runs) != 1 or runs[0].state is not RunState.IN_FLIGHT:
        return False
    return (
        runs[0].until_ms is None
        and row.slot_ms is None
        and row.expires_ms is None
        and row.owed_until_ms is None
        and not row.releasing
    )


def stop(work: Work, row: Row, state: State, reason: str) -> None:
    """The schedule is over: no further slot; it stays readable for its retention."""
    events.forget(work, row)
    row.state = state
    row.reason = reason
    row.slot_ms = None
    row.updated_ms = work.now_ms
    row.expires_ms = work.now_ms + row.spec.retention_ms


def fail(work: Work, row: Row, reason: str) -> None:
    """One bad rule parks its own schedule with the reason; children learn that it failed."""
    stop(work, row, State.FAILED, reason)
    children.told_of(row, "failure", work.now_ms)


def is_over(row: Row) -> bool:
    """No call will come of this schedule any more."""
    return row.state in FINAL and not row.runs

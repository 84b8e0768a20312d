"""A workflow's run, one event at a time: what ended, what may begin, what has to be undone, and when all is over. Pure.

The coordinator is a schedule with one open run; its steps are schedules of its group that it makes when they are ready and
whose outcomes it is told like any child. Everything that it knows stands in its row, so it waits for months as for seconds.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson

from squirrel.engine import workflow_steps as steps
from squirrel.engine.children import satisfies
from squirrel.engine.work import Work
from squirrel.engine.workflow_steps import Going, outcome_of
from squirrel.model.limits import WORKFLOW_INPUT_BYTES_MAX
from squirrel.model.schedule import OpenRun, Row, RunState
from squirrel.model.target import PluginTarget, Target
from squirrel.model.workflow import (
    STEP_ENDED,
    TARGET_KIND,
    Step,
    StepState,
    WorkflowState,
    coordinator_of,
    encode_workflow_state,
)
from squirrel.wire.coordinators import coordinator_spec
from squirrel.wire.expressions import Unevaluable, holds
from squirrel.wire.records import Command


class End(NamedTuple):
    """The coordinator's run, or a starter's, is over."""

    state: RunState
    reason: str = ""


def is_workflow(target: Target | None) -> bool:
    """Whether this target starts a workflow."""
    return type(target) is PluginTarget and target.kind == TARGET_KIND


def emitted(work: Work, row: Row, run: OpenRun, target: PluginTarget) -> End | None:
    """A run whose target is a workflow is due: a coordinator begins, any other schedule has one made."""
    run.state = RunState.IN_FLIGHT
    run.attempt += 1
    run.emitted_ms = work.now_ms
    run.promised_ms = max(run.due_ms, work.now_ms)
    if row.workflow is None:
        return _start(work, row, run, target)
    row.workflow.run, row.workflow.began_ms = run.id, run.promised_ms
    return advance(Going(work, row))


def _start(work: Work, row: Row, run: OpenRun, target: PluginTarget) -> End | None:
    """One more run of a workflow; whoever started it hears of its end by `complete`."""
    name = str(orjson.loads(target.config).get("name", ""))
    definition = work.workflows(row.namespace, name)
    if definition is None:
        return End(RunState.FAILED, f"there is no workflow {name}")
    message = row.spec.message if run.message is None else run.message
    if len(message) > WORKFLOW_INPUT_BYTES_MAX:
        return End(RunState.FAILED, f"the input has {len(message)} bytes, the limit is {WORKFLOW_INPUT_BYTES_MAX}")
    run_id = coordinator_of(run.id)
    state = WorkflowState(definition, starter=(row.id, run.id, row.spec.group or ""))
    spec = coordinator_spec(name, run_id, message, run.promised_ms, row.spec.retention_ms)
    work.orders.append(
        Command(
            op="create",
            namespace=row.namespace,
            id=run_id,
            command_id=f"{run_id}/create",
            accepted_ms=work.now_ms,
            spec=spec,
            reply=True,
            home=run_id,
            workflow=encode_workflow_state(state),
        )
    )
    return None


def heard(work: Work, row: Row, command: Command) -> End | None:
    """A schedule of the group reached its outcome; one that nobody waits for any more changes nothing."""
    going = Going(work, row)
    name, _, tries = command.child.removeprefix(f"{row.id}.").partition("~")
    name, _, part = name.partition(".")
    step, state = going.by_id.get(name, (None, None))
    if step is None or state is None or int(tries or 1) != max(1, state.tries):
        work.replays += 1
        return None
    ending = steps.STATES.get(command.outcome, "failed")
    if ending in ("cancelled", "skipped") and going.state.phase == "running":
        ending = "failed"  # somebody cancelled its schedule, or its rule has no slot: the workflow must not wait for it
    reason = _reason(command)
    if part == "undo" and state.undone == "waiting":
        state.undone = "succeeded" if command.outcome == "success" else "failed"
    elif part.isdigit() and int(part) < len(state.items) and state.items[int(part)].state == "waiting":
        state.items[int(part)].answer = steps.kept_answer(going, command.answer)
        steps.end_item(going, state, int(part), ending, finished_ms=command.finished_ms, reason=reason)
        if state.state == "waiting":
            steps.start_items(going, step, state)
    elif not part and state.state == "waiting":
        state.answer = steps.kept_answer(going, command.answer)
        steps.end(going, state, ending, finished_ms=command.finished_ms, reason=reason)
    else:
        work.replays += 1
        return None
    return advance(going)


def _reason(command: Command) -> str:
    told = orjson.loads(command.answer).get("reason", "") if command.answer else ""
    return "" if command.outcome == "success" else str(told or f"its schedule ended in {command.outcome}")[:1000]


def advance(going: Going) -> End | None:
    """Begin what is ready until nothing changes, then see whether the run is over."""
    state = going.state
    _stop_for_failures(going)
    changed = True
    while changed and state.phase == "running" and not state.paused:
        changed = False
        for step, each in going.pairs:
            if each.state == "pending" and _judged(going, step, each):
                changed = True
                _stop_for_failures(going)  # one that fails as it begins: what hangs on it must not be judged first
                if state.phase != "running":
                    break
    over = _over(going)
    _set_deadline(going)
    going.work.put(going.row)
    return over


def _judged(going: Going, step: Step, state: StepState) -> bool:
    """Start, skip or leave a pending step; whether anything happened."""
    parents = [(each.on, outcome_of(going.by_id[each.step][1]), each.step) for each in step.after]
    met = [on_step for on, outcome, on_step in parents if outcome is not None and satisfies(on, outcome)]
    unmet = [(on, outcome, name) for on, outcome, name in parents if outcome is not None and not satisfies(on, outcome)]
    if step.join == "any" and parents:
        ready, never = bool(met), len(unmet) == len(parents)
    else:
        ready, never = len(met) == len(parents), bool(unmet)
    if never:
        on, outcome, name = unmet[0]
        _skip(going, step, state, f"{name} ended in {outcome}; this one waits for {on}")
    elif ready:
        ends = (going.by_id[name][1].finished_ms for name in met)
        base_ms = min(ends, default=0) if step.join == "any" else max(ends, default=0)
        _begin(going, step, state, base_ms or going.state.began_ms)
    return never or ready


def _begin(going: Going, step: Step, state: StepState, base_ms: int) -> None:
    if step.condition:
        try:
            if not holds(step.condition, going.seen()):
                _skip(going, step, state, f"the condition does not hold: {step.condition}")
                return
        except Unevaluable as error:
            steps.end(going, state, "failed", reason=f"if {error}")
            return
    steps.start(going, step, state, base_ms)


def _skip(going: Going, step: Step, state: StepState, reason: str) -> None:
    steps.end(going, state, "skipped", reason=reason)


def _stop_for_failures(going: Going) -> None:
    """A failure that no step waits for ends the run: nothing new begins, what has not been called is cancelled."""
    for step, state in going.pairs:
        if state.state == "failed" and going.state.phase == "running" and not _is_handled(going, step):
            stop(going, f"{step.id}: {state.reason or 'failed'}")


def _is_handled(going: Going, step: Step) -> bool:
    return any(
        each.step == step.id and each.on in ("failure", "completion")
        for other, _ in going.pairs
        for each in other.after
    )


def stop(going: Going, reason: str) -> None:
    """Begin to end as failed."""
    going.state.phase, going.state.reason = "stopping", reason
    for step, state in going.pairs:
        if state.state == "pending":
            steps.end(going, state, "cancelled", reason="the run ended before it")
        for index, item in enumerate(state.items):
            if item.state == "pending":
                steps.end_item(going, state, index, "cancelled", reason="the run ended before it")
        for schedule_id in steps.under_way(going, step, state):
            going.order("cancel", schedule_id)


def _over(going: Going) -> End | None:
    state = going.state
    if any(each.state == "waiting" or each.undone == "waiting" for each in state.steps):
        return None
    if state.phase == "running":
        if any(each.state not in STEP_ENDED for each in state.steps):
            return None  # paused
        return ended(going, "succeeded", RunState.SUCCEEDED, "")
    if state.phase in ("stopping", "compensating"):
        left = [
            (step, each)
            for step, each in reversed(going.pairs)
            if step.compensate is not None and each.state == "succeeded" and not each.undone and not each.passed
        ]
        for step, each in sorted(left, key=lambda pair: -pair[1].finished_ms):
            state.phase = "compensating"
            steps.undo(going, step, each)
            if each.undone == "waiting":
                return None
        return ended(going, "failed", RunState.FAILED, state.reason)
    return None


def ended(going: Going, phase: str, run_state: RunState, reason: str) -> End:
    """The run is over; whoever started it is told."""
    work, row, state = going.work, going.row, going.state
    state.phase, state.reason, state.finished_ms = phase, reason, work.now_ms
    if state.starter is not None:
        schedule_id, run_id, group = state.starter
        state.starter = None
        work.orders.append(
            Command(
                op="complete",
                namespace=row.namespace,
                id=schedule_id,
                command_id=f"{row.id}/complete",
                accepted_ms=work.now_ms,
                home=group,
                run=run_id,
                outcome="success" if run_state is RunState.SUCCEEDED else "failure",
                detail=f"workflow run {row.id}: {reason or phase}",
                message=orjson.dumps({"workflow_run": row.id, "state": phase}),
                final=True,
                reply=True,
            )
        )
    return End(run_state, reason)


def timed_out(work: Work, row: Row) -> End | None:
    """The earliest deadline of the run has come: of a step, which fails, or of the whole, which ends."""
    going = Going(work, row)
    whole_ms = going.definition.timeout_ms
    if whole_ms is not None and going.state.began_ms + whole_ms <= work.horizon_ms and going.state.phase == "running":
        stop(going, "timeout_seconds of the workflow are over")
    for step, state in going.pairs:
        deadline_ms = _deadline_ms(step, state)
        if deadline_ms is not None and deadline_ms <= work.horizon_ms:
            for schedule_id in steps.under_way(going, step, state):
                going.order("cancel", schedule_id)
            for index, item in enumerate(state.items):
                if item.state not in STEP_ENDED:
                    steps.end_item(going, state, index, "cancelled", reason="timeout_seconds of the step are over")
            steps.end(going, state, "failed", finished_ms=work.now_ms, reason="timeout_seconds of the step are over")
    return advance(going)


def _deadline_ms(step: Step, state: StepState) -> int | None:
    if step.timeout_ms is None or state.state != "waiting":
        return None
    return state.due_ms + step.timeout_ms


def _set_deadline(going: Going) -> None:
    """The open run is looked at again at the earliest deadline."""
    run = next((each for each in going.row.runs if each.id == going.state.run), None)
    if run is None:
        return
    deadlines = [deadline for each in going.pairs if (deadline := _deadline_ms(*each)) is not None]
    if going.definition.timeout_ms is not None and going.state.phase == "running":
        deadlines.append(going.state.began_ms + going.definition.timeout_ms)
    run.until_ms = min(deadlines, default=None)

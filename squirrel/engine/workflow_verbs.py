"""What a person does to a workflow's run: pause, resume, cancel, retry what failed, skip a step. Pure."""

from __future__ import annotations

from squirrel.engine import runs, workflow_steps, workflows
from squirrel.engine.work import Work
from squirrel.engine.workflow_steps import Going
from squirrel.model.errors import Problem
from squirrel.model.ids import run_id
from squirrel.model.schedule import OpenRun, Row, RunState
from squirrel.model.workflow import ENDED, StepState
from squirrel.wire import owner_link as codes
from squirrel.wire.documents.workflow_graph import descendants_of
from squirrel.wire.records import Command, Op


def asked(work: Work, row: Row, command: Command, offset: int) -> None:
    """One verb (`on`), for a step (`child`) where it takes one."""
    if row.workflow is None:
        work.decide(offset, command, codes.NOT_FOUND)
        return
    going = Going(work, row)
    reason = _VERBS[command.on](going, command)
    row.command_offset = max(offset, row.command_offset)
    if reason is not None:
        field = "step" if command.child else "run"
        work.decide(offset, command, codes.REFUSED, row, problem=Problem(field, reason))
        return
    row.updated_ms = max(command.accepted_ms, row.updated_ms)
    end = workflows.ended(going, "cancelled", RunState.CANCELLED, "cancelled") if command.on == "cancel" else None
    end = end or workflows.advance(going)
    runs.end_workflow(work, row, end)
    runs.settle(work, row)
    work.decide(offset, command, codes.CHANGED, row)


def _order_under_way(going: Going, op: Op) -> None:
    """The same order to every step's schedule that is under way."""
    for step, state in going.pairs:
        for schedule_id in workflow_steps.under_way(going, step, state):
            going.order(op, schedule_id)


def _pause(going: Going, _: Command) -> str | None:
    if going.state.phase in ENDED:
        return f"is {going.state.phase}; only a run that goes on can be paused"
    going.state.paused = True
    _order_under_way(going, "pause")
    return None


def _resume(going: Going, _: Command) -> str | None:
    if going.state.phase in ENDED:
        return f"is {going.state.phase}; there is nothing to resume"
    going.state.paused = False
    _order_under_way(going, "resume")
    return None


def _cancel(going: Going, _: Command) -> str | None:
    if going.state.phase in ENDED:
        return f"is {going.state.phase} already"
    _order_under_way(going, "cancel")
    for _step, state in going.pairs:
        for index, item in enumerate(state.items):
            if item.state in ("pending", "waiting"):
                workflow_steps.end_item(going, state, index, "cancelled", reason="cancelled")
        if state.state in ("pending", "waiting"):
            workflow_steps.end(going, state, "cancelled", reason="cancelled")
    return None


def _retry(going: Going, command: Command) -> str | None:
    """Failed steps, or one, and what comes after them are begun anew; the others keep what they answered."""
    if going.state.phase not in ("failed", "cancelled"):
        return f"is {going.state.phase}; only a run that failed or was cancelled can be retried"
    if any(state.undone for state in going.state.steps):
        return "was compensated: what it had done is undone; start a new run"
    ended_badly = {step.id for step, state in going.pairs if state.state in ("failed", "cancelled")}
    if command.child and command.child not in ended_badly:
        return f"{command.child} has not failed; these have: {', '.join(sorted(ended_badly)) or 'none'}"
    _reset(going, {command.child} if command.child else ended_badly)
    _reopen(going, command)
    return None


def _skip(going: Going, command: Command) -> str | None:
    """The step counts as done; in a run that failed for it the rest goes on."""
    if command.child not in going.by_id:
        return f"there is no step {command.child}"
    step, state = going.by_id[command.child]
    if state.state in ("succeeded", "skipped"):
        return f"{step.id} is {state.state} already"
    if any(each.undone for each in going.state.steps) or going.state.phase in ("succeeded", "stopping"):
        return f"the run is {going.state.phase}; nothing of it can be skipped now"
    over = going.state.phase in ENDED
    if not over and state.state not in ("pending", "waiting"):
        return f"{step.id} is {state.state} and the run goes on without it"
    if over:
        by_id = {other.id: other for other in going.definition.steps}
        badly = {other.id for other, each in going.pairs if each.state in ("failed", "cancelled")}
        _reset(going, (badly | descendants_of({step.id}, by_id)) - {step.id})
    for schedule_id in workflow_steps.under_way(going, step, state):
        going.order("cancel", schedule_id)
    workflow_steps.end(going, state, "skipped", reason="skipped by hand")
    state.passed = True
    if over:
        _reopen(going, command)
    return None


def _reset(going: Going, names: set[str]) -> None:
    """These and all that waits for them are as if they had never begun, but for the number of tries."""
    by_id = {step.id: step for step in going.definition.steps}
    for name in names | descendants_of(names, by_id):
        _, state = going.by_id[name]
        fresh = StepState(tries=state.tries)
        for field in fresh.__struct_fields__:
            setattr(state, field, getattr(fresh, field))


def _reopen(going: Going, command: Command) -> None:
    """A new run of the coordinator that names the old one."""
    row, now_ms = going.row, going.work.now_ms
    former = going.state.run
    made = OpenRun(
        run_id(row.namespace, row.id, now_ms, command.command_id),
        now_ms,
        now_ms,
        state=RunState.IN_FLIGHT,
        attempt=1,
        emitted_ms=now_ms,
        kind="replay",
        replay_of=former,
        promised_ms=now_ms,
    )
    row.runs.append(made)
    going.state.run, going.state.phase, going.state.reason = made.id, "running", ""
    going.state.finished_ms, going.state.began_ms, going.state.paused = 0, now_ms, False


_VERBS = {"pause": _pause, "resume": _resume, "cancel": _cancel, "retry": _retry, "skip": _skip}

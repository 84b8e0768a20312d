"""What an asynchronous target says of a run it promised: that it ended, or that it is still at work. Pure."""

from __future__ import annotations

from squirrel.engine import promises, runs, workflows
from squirrel.engine.stages import target_of
from squirrel.engine.work import Work
from squirrel.model.errors import Problem
from squirrel.model.schedule import OpenRun, Row, RunState
from squirrel.wire import owner_link as codes
from squirrel.wire.public import AttemptError
from squirrel.wire.records import Command

NOT_ASYNCHRONOUS = 'its target gives no promises; a target with "completion": "async" does'


def complete(work: Work, row: Row, command: Command, offset: int) -> None:
    """The attempt in flight ended: its run succeeds, or fails and follows its retry policy."""
    run = _promised(work, row, command, offset)
    if run is None:
        return
    target = target_of(work, row, run)
    failed = command.outcome == "failure"
    error = AttemptError("target", command.detail or "the target reported a failure") if failed else None
    body = (command.message or b"").decode("utf-8", "replace")
    ending = promises.Ending("failed" if failed else "succeeded", body, error, command.final)
    result = promises.ended(row, run, target, work.now_ms, ending)
    work.results.append(result)
    row.command_offset = max(offset, row.command_offset)
    runs.take_answer(work, row, run, result)
    runs.settle(work, row)
    still_open = next((each for each in row.runs if each.id == run.id), None)
    work.decide(offset, command, codes.CHANGED, row, open_run=still_open)


def heartbeat(work: Work, row: Row, command: Command, offset: int) -> None:
    """The attempt in flight is given up later: its whole time counts anew from now."""
    run = _promised(work, row, command, offset)
    if run is None:
        return
    run.until_ms = work.now_ms + (promises.completion_timeout_ms(target_of(work, row, run)) or 0)
    run.promised_ms = run.promised_ms or work.now_ms
    row.command_offset = max(offset, row.command_offset)
    runs.settle(work, row)
    work.decide(offset, command, codes.CHANGED, row, open_run=run)


def _promised(work: Work, row: Row, command: Command, offset: int) -> OpenRun | None:
    """The run in flight that is meant; None and decided when it is over, or never was one of this kind."""
    run = next((each for each in row.runs if each.id == command.run), None)
    if run is None or run.state is not RunState.IN_FLIGHT or command.attempt not in (0, run.attempt):
        reason = "the run is over" if run is None else f"attempt {command.attempt} is over, the run is {run.state}"
        work.decide(offset, command, codes.TOO_LATE, row, open_run=run, problem=Problem("run", reason))
        return None
    target = target_of(work, row, run)
    ends_by_itself = command.op == "complete" and workflows.is_workflow(target) and row.workflow is None
    if promises.completion_timeout_ms(target) is None and not ends_by_itself:
        work.decide(offset, command, codes.REFUSED, row, open_run=run, problem=Problem("run", NOT_ASYNCHRONOUS))
        return None
    return run

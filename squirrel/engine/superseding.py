"""What a change does to runs that are under way: they go on as they began, or, forced, are given up. Pure."""

from __future__ import annotations

from squirrel.engine import runs
from squirrel.engine.work import Work
from squirrel.model.limits import OWN_MESSAGES_BYTES_MAX
from squirrel.model.schedule import OpenRun, Row, RunState, Spec

NOW = "now"  # `?force=now`: the change holds from here on
NEXT = "next"  # `?force=next`: from the next run on


def _under_way(row: Row) -> list[OpenRun]:
    return [run for run in row.runs if run.state is not RunState.SCHEDULED and run.kind != "replay"]


def keeps_too_much(row: Row, spec: Spec) -> str | None:
    """Why the runs under way cannot go on with the message they began with, or None."""
    if spec.message == row.spec.message:
        return None
    held = sum(len(run.message) for run in row.runs if run.message is not None)
    kept = len(row.spec.message) * sum(run.message is None for run in _under_way(row))
    if held + kept <= OWN_MESSAGES_BYTES_MAX:
        return None
    return (
        f"{len(row.runs)} open runs would keep {held + kept} bytes of messages; wait for some to end, or use ?force=now"
    )


def pin(row: Row, former: Spec) -> None:
    """Runs under way keep the message and the target that they began with."""
    for run in _under_way(row):
        if run.message is None and former.message != row.spec.message:
            run.message = former.message
        if run.target is None and former.target is not None and former.target != row.spec.target:
            run.target = former.target


def give_up(work: Work, row: Row) -> str:
    """Retries that wait are cancelled, calls in flight are their runs' last; what became of each, in words."""
    told = []
    for run in _under_way(row):
        if run.state is RunState.RETRY_WAIT:
            reason = f"superseded by revision {row.revision}: its retry is cancelled"
            runs.finish(work, row, run, RunState.CANCELLED, work.now_ms, reason)
            told.append(f"{run.id}: the retry of its attempt {run.attempt} is cancelled")
        else:
            run.superseded = True
            told.append(f"{run.id}: attempt {run.attempt} is in flight and ends the run, whatever comes of it")
    return "; ".join(told)

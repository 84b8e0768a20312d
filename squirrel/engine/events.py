"""`on_event`: a run for every completion whose event name matches. Pure.

The engine that completes a run looks the listeners up and sends each an `event` command; the listener's partition makes a run
of it whose id follows from the run that caused it, so a repeat after a crash is the same run.
"""

from __future__ import annotations

from collections.abc import Callable

from squirrel.engine import answers, children
from squirrel.engine.slots import due_of
from squirrel.engine.work import Work
from squirrel.model.ids import run_id
from squirrel.model.limits import OPEN_RUNS_MAX
from squirrel.model.schedule import OpenRun, Row, RunState, State
from squirrel.wire.listeners import Listener, listener_key, listener_value
from squirrel.wire.records import Command


def listens(row: Row) -> bool:
    """Whether further completions may still make runs of this schedule."""
    when = row.spec.when
    return when.on_event is not None and (when.max_runs is None or row.slots < when.max_runs)


def announce(work: Work, row: Row) -> None:
    """Make the listener known to every engine."""
    match = row.spec.when.on_event
    if match is not None:
        listener = Listener(row.id, match.event, match.on, row.spec.group or "", answers.wants_answer(row.spec))
        work.definitions[listener_key(row.namespace, row.id)] = listener_value(listener)


def forget(work: Work, row: Row) -> None:
    """The schedule listens no more."""
    if row.spec.when.on_event is not None:
        work.definitions[listener_key(row.namespace, row.id)] = None


def tell(work: Work, row: Row, run: OpenRun, outcome: str, finished_ms: int, answer: Callable[[], bytes]) -> None:
    """Send the completion to those who listen to its event. A schedule does not hear itself: that would never end."""
    for listener in work.listeners(row.namespace, row.event):
        if listener.schedule != row.id and children.satisfies(listener.on, outcome):
            work.orders.append(
                Command(
                    op="event",
                    namespace=row.namespace,
                    id=listener.schedule,
                    command_id=run.id,
                    accepted_ms=work.now_ms,
                    child=row.id,
                    outcome=outcome,
                    finished_ms=finished_ms,
                    run=run.id,
                    home=listener.group,
                    answer=answer() if listener.wants else b"",
                )
            )


def heard(work: Work, row: Row, command: Command) -> None:
    """At the listener: one run, its delay after the completion. Leaves the settling to the caller."""
    when = row.spec.when
    slot_ms = command.finished_ms + round(when.delay_seconds * 1000)
    run = OpenRun(
        run_id(row.namespace, row.id, slot_ms, command.run),
        slot_ms,
        due_of(row, slot_ms),
        state=RunState.RETRY_WAIT,
        kind="event",
    )
    known = any(open_run.id == run.id for open_run in row.runs) or (row.last is not None and row.last.id == run.id)
    outside = (when.start_ms is not None and command.finished_ms < when.start_ms) or (
        when.end_ms is not None and command.finished_ms > when.end_ms
    )
    if known or outside or not listens(row) or row.state not in (State.ACTIVE, State.PAUSED):
        work.replays += 1
        return
    if answers.condition_ends(row.spec, answers.heard_by(command.answer, command.outcome)) is not None:
        return
    if len(row.runs) >= OPEN_RUNS_MAX:
        work.refuse(command, "too_many_runs", "id", f"{OPEN_RUNS_MAX} runs of {row.id} are open, which is the limit")
        return
    try:
        run.message = answers.heard_message(row.spec, command.answer, command.outcome)
    except answers.TooLarge as error:
        work.refuse(command, "too_large", "message", str(error))
        return
    row.runs.append(run)
    row.slots += 1
    if not listens(row):
        forget(work, row)

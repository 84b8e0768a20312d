"""Schedules that wait for others: subscribing, being told, and what an outcome means for a child. Pure.

Parent and child may live in different partitions, so they speak by commands: `subscribe` to the parent's partition,
`release` to the child's. Both may be repeated after a crash; both are applied once.
"""

from __future__ import annotations

from squirrel.engine import answers
from squirrel.engine.work import Work
from squirrel.model.ids import run_id
from squirrel.model.limits import RELEASE_BATCH_MAX
from squirrel.model.schedule import FINAL, Awaited, Releasing, Row, RunState, State
from squirrel.wire.records import Command

_OUTCOMES = {
    RunState.SUCCEEDED: "success",
    RunState.SENT: "success",
    RunState.FAILED: "failure",
    RunState.MISSED: "failure",
    RunState.CANCELLED: "cancelled",
    RunState.SKIPPED: "skipped",
}


def outcome_of(state: RunState) -> str:
    """success, failure, cancelled or skipped: what a final run state means to those who wait for it."""
    return _OUTCOMES[state]


def satisfies(on: str, outcome: str) -> bool:
    """Whether a child that waits for `on` may go after `outcome`; `completion` is any end."""
    return outcome != "unknown" and on in ("completion", outcome)


def subscribe_to_parents(work: Work, row: Row) -> None:
    """Ask each parent's partition to tell us; a parent that never existed answers `unknown` after the parking time."""
    wants = answers.wants_answer(row.spec)
    for index, parent in enumerate(row.parents):
        if parent.outcome is None:
            work.orders.append(
                Command(
                    op="subscribe",
                    namespace=row.namespace,
                    id=parent.schedule,
                    command_id=f"{row.id}/{row.revision}/{index}",
                    accepted_ms=work.now_ms,
                    park=True,
                    child=row.id,
                    on=parent.on,
                    child_home=row.spec.group or "",
                    wants=wants,
                )
            )


def wait_text(on: str, group: str, wants: bool = False) -> str:
    """What a W row holds: the outcome awaited, where a child in a group lives, and whether it asks for the answer."""
    if wants:
        return f"{on}\0{group}\0answer"
    return f"{on}\0{group}" if group else on


def subscribed(work: Work, parent: Row, command: Command) -> None:
    """At the parent: remember the child, or tell it at once when the parent is over."""
    if parent.state in FINAL and not parent.runs and not parent.releasing:
        outcome, finished_ms = _final_outcome(parent)
        answer = parent.last.answer if command.wants and parent.last is not None else b""
        told = Releasing(outcome, finished_ms, answer=answer)
        work.orders.append(release_order(work, parent, (command.child, command.child_home), told))
        return
    waits = wait_text(command.on, command.child_home, command.wants)
    work.add_waiter(parent.namespace, parent.id, command.child, waits)
    parent.has_children = True
    work.put(parent)


def _final_outcome(parent: Row) -> tuple[str, int]:
    if parent.state is State.CANCELLED:
        return "cancelled", parent.updated_ms
    if parent.last is not None:
        return outcome_of(parent.last.state), parent.last.finished_ms
    return "failure", parent.updated_ms


def release_order(work: Work, parent: Row, child: tuple[str, str], told: Releasing) -> Command:
    """Tell `child` (id and group) what `parent` reached."""
    outcome, finished_ms = told.outcome, told.finished_ms
    return Command(
        op="release",
        namespace=parent.namespace,
        id=child[0],
        command_id=f"{parent.id}/{finished_ms}/{outcome}",
        accepted_ms=work.now_ms,
        home=child[1],
        child=parent.id,
        outcome=outcome,
        finished_ms=finished_ms,
        answer=told.answer,
    )


def told_of(parent: Row, outcome: str, finished_ms: int, answer: bytes = b"") -> None:
    """Note an outcome that the children have to hear."""
    if parent.has_children:
        parent.releasing.append(Releasing(outcome, finished_ms, answer=answer))


def tell(work: Work, parent: Row) -> None:
    """Tell one page of children the oldest outcome that is still being told; the timeline wakes the row for the rest."""
    while parent.releasing:
        telling = parent.releasing[0]
        over = parent.state in FINAL and not parent.runs and len(parent.releasing) == 1
        page = work.waiting_children(parent.namespace, parent.id, telling.after_child, RELEASE_BATCH_MAX)
        for child, waits in page:
            on, group, wants = [*waits.split("\0"), "", ""][:3]
            if over or satisfies(on, telling.outcome):
                work.drop_waiter(parent.namespace, parent.id, child)
                told = telling if wants else Releasing(telling.outcome, telling.finished_ms)
                work.orders.append(release_order(work, parent, (child, group), told))
        if len(page) == RELEASE_BATCH_MAX:
            last_child = page[-1][0]
            parent.releasing[0] = Releasing(telling.outcome, telling.finished_ms, last_child, telling.answer)
            return
        parent.releasing.pop(0)
        if over:
            parent.has_children = False


def released(work: Work, child: Row, command: Command) -> tuple[RunState, str] | None:
    """At the child: note the outcome; when the join is met its slot is set, when it cannot be any more it says how to end.

    Returns (state, reason) of the run that will not happen, or None.
    """
    waited = [parent for parent in child.parents if parent.schedule == command.child and parent.outcome is None]
    if not waited or child.state in FINAL:
        work.replays += 1
        return None
    for parent in waited:
        parent.outcome = command.outcome
        parent.finished_ms = command.finished_ms
        parent.result = answers.kept(child, command.answer)
    work.put(child)
    if child.slot_ms is not None or child.slots:
        return None  # the join was met before
    met = [parent for parent in child.parents if parent.outcome is not None and satisfies(parent.on, parent.outcome)]
    unmet = [parent for parent in child.parents if parent.outcome is not None and parent not in met]
    if child.spec.when.join == "any":
        if met:
            return _activate(child, min(parent.finished_ms for parent in met))
        if len(unmet) == len(child.parents):
            return _will_not_happen(unmet)
    elif unmet:
        return _will_not_happen(unmet)
    elif len(met) == len(child.parents):
        return _activate(child, max(parent.finished_ms for parent in met))
    return None


def _activate(child: Row, finished_ms: int) -> tuple[RunState, str] | None:
    """The join is met: the slot is set, unless the condition on what the parents answered does not hold."""
    reason = answers.unheard(child)
    ends = (
        (RunState.FAILED, reason) if reason is not None else answers.condition_ends(child.spec, answers.seen_by(child))
    )
    if ends is not None:
        return ends
    child.slot_ms = finished_ms + round(child.spec.when.delay_seconds * 1000)
    if child.state is State.WAITING:
        child.state = State.ACTIVE
    return None


def _will_not_happen(unmet: list[Awaited]) -> tuple[RunState, str]:
    parent = unmet[0]
    if parent.outcome == "unknown":
        return RunState.FAILED, f"unknown_schedule: after names {parent.schedule}, which does not exist"
    return RunState.SKIPPED, f"{parent.schedule} ended in {parent.outcome}; this one waits for {parent.on}"


def waiting_run_id(row: Row) -> str:
    """The id of the run of a schedule that never got a slot."""
    return run_id(row.namespace, row.id, row.created_ms, "waiting")

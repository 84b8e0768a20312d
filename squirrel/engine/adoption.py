"""What a former owner had ordered and not logged, made known to the rows: what is called is never given up. Pure.

Reads: the newest orders of the partition's executions, the newest of its completions, and the rows that they name.
Keeps: nothing.
Writes: into `Work`, the row changes that the former owner's step had decided, as of the instant of that step.
Promises: an attempt that an executor was ordered to make is in flight in its row before anything else is decided of it, and
a run that was said to be skipped or missed is not called.
Never: orders an attempt again, or adopts what an executor drops or what the row knows.

An owner emits, then logs, one step after the other: so only the last step that emitted anything can be unknown to the rows, and
only that of the newest owner, for it adopted what those before it had left before it emitted. Runs on demand are adopted, too:
their command is taken again, and may come behind their result.

A new owner's mark (`wire/owner_mark.py`) is acknowledged before the end is read. What a former owner still had on its way comes
behind it: executors drop it, and it is not read here. It is still owed by the rows, for none says that it was emitted: that is
logged after the order's acknowledgement, so after the mark, so after the changelog was taken over, and the broker refuses it.
An at_most_once attempt is logged before it is emitted: there is nothing to adopt, and executors call it behind a mark, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from squirrel.engine import runs
from squirrel.engine.flows import flow_of
from squirrel.engine.slots import RUN, take_due_slot
from squirrel.engine.stages import route_for, stage_of
from squirrel.engine.work import Work
from squirrel.model.ids import run_id
from squirrel.model.limits import CATCH_UP_SLOTS_MAX
from squirrel.model.schedule import OpenRun, Row, RunState, State
from squirrel.recurrence import RuleError
from squirrel.streams.timeline.keys import s_key
from squirrel.wire.owner_mark import OwnerMark, owner_mark_of
from squirrel.wire.public import Completion, decode_completion
from squirrel.wire.records import Execution, Undecodable, decode_execution

GIVEN_UP = frozenset({RunState.SKIPPED, RunState.MISSED})


class LastStep:
    """The orders of the newest owner's last step, gathered from the end of the topic backwards."""

    def __init__(self) -> None:
        self.orders: list[Execution] = []  # in the order of the log
        self._marks: set[int] = set()  # epochs whose marks stand in the pages that were taken

    def take(self, page: Sequence[bytes]) -> bool:
        """One page, older than those before it. True: the step may reach into the next older one.

        What stands behind the mark or an order of a newer owner is passed over: executors drop it. The page in front of a
        mark is read, too: a mark may itself have come late, behind its successor's.
        """
        heard = 0  # the newest epoch of the page
        marks: set[int] = set()
        found: list[Execution] = []
        for value in page:
            each = _order_or_mark(value)
            if each is None or each.epoch < heard:
                continue
            heard = each.epoch
            if isinstance(each, Execution):
                found.append(each)
            else:
                marks.add(heard)
        begun = {epoch for epoch in self._marks if epoch >= heard}
        self._marks = begun | marks
        found += [each for each in self.orders if each.epoch >= heard]
        newest = max(map(_step_of, found), default=None)
        self.orders = [each for each in found if _step_of(each) == newest]
        if newest is None:
            return True
        return newest[0] not in begun and all(each.epoch < newest[0] or _step_of(each) == newest for each in found)


class LastGivenUp:
    """The runs that the newest step gave up without a call, as its completions say, gathered likewise.

    Completions name no owner. It does not matter: what was said of a slot that its row has not come to is kept, whoever said it.
    """

    def __init__(self) -> None:
        self.completions: list[Completion] = []

    def take(self, page: Sequence[bytes]) -> bool:
        """One page, older than those before it. True: the step may reach into the next older one."""
        found = []
        for value in page:
            try:
                found.append(decode_completion(value))
            except (ValueError, RecursionError):
                continue
        given_up = [each for each in found if each.state in GIVEN_UP and not each.attempts] + self.completions
        newest_ms = max((each.finished_ms for each in given_up), default=None)
        self.completions = [each for each in given_up if each.finished_ms == newest_ms]
        return not found or found[0].finished_ms == newest_ms


def _order_or_mark(value: bytes) -> Execution | OwnerMark | None:
    try:
        return decode_execution(value)
    except Undecodable:
        return owner_mark_of(value)  # what neither is, whoever wrote it, the executor sets aside


def _step_of(order: Execution) -> tuple[int, int]:
    return order.epoch, order.emitted_ms


def adopt(work: Work, orders: Sequence[Execution]) -> list[Execution]:
    """Brings the rows of `work` to where the step of these orders had left them; the orders that no row knew.

    `work.now_ms` is the instant of that step, so that whatever else it decided of the same rows comes out the same.
    """
    mine: dict[bytes, list[Execution]] = {}
    for order in orders:
        if order.not_after_ms is None:
            mine.setdefault(s_key(order.namespace, order.schedule), []).append(order)
    adopted = []
    for key, of_row in mine.items():
        row = work.entries[key].row
        if row is None or row.state is State.UNKNOWN or row.epoch > of_row[0].epoch:
            continue
        new, fired = _adopt_all(work, row, of_row)
        if fired:  # and whatever else of the row was due then
            runs.fire_due(work, row)
        elif new:
            runs.settle(work, row)
        adopted += new
    sent = {(order.run, order.attempt) for order in orders}
    work.executions = [each for each in work.executions if (each.run, each.attempt) not in sent]
    return adopted


def adopt_given_up(work: Work, completions: Sequence[Completion]) -> int:
    """Steps the rows again whose slots were given up by a step that was not logged, as of its instant; how many rows.

    An at_most_once row is left: what that step had not emitted of it would be too old to be called.
    """
    count = 0
    for schedule in dict.fromkeys((each.namespace, each.schedule_id) for each in completions):
        row = work.entries[s_key(*schedule)].row
        if row is None or row.slot_ms is None or row.spec.at_most_once:
            continue
        slots = [each for each in completions if (each.namespace, each.schedule_id) == schedule]
        if any(each.slot_ms >= row.slot_ms and each.run == run_id(*schedule, each.slot_ms) for each in slots):
            runs.fire_due(work, row)
            count += 1
    return count


def _adopt_all(work: Work, row: Row, orders: Sequence[Execution]) -> tuple[list[Execution], bool]:
    """(the orders that the row did not know, whether it had been taken off the timeline for them)."""
    known_until_ms = row.updated_ms
    waited = {run.id for run in row.runs if run.state is RunState.RETRY_WAIT}
    slot_ms = row.slot_ms
    new = [order for order in orders if _adopt(work, row, order, known_until_ms)]
    return new, row.slot_ms != slot_ms or any(order.run in waited for order in new)


def _adopt(work: Work, row: Row, order: Execution, known_until_ms: int) -> bool:
    run = next((run for run in row.runs if run.id == order.run), None)
    if run is not None:
        if run.state is RunState.IN_FLIGHT or run.attempt != order.attempt - 1:
            return False
    elif order.attempt != 1 or (row.last is not None and row.last.id == order.run):
        return False
    elif order.run == run_id(row.namespace, row.id, order.slot_ms):
        if not _take_slot(work, row, order):
            return False
        run = OpenRun(order.run, order.slot_ms, order.due_ms)
        row.runs.append(run)
    elif known_until_ms < order.slot_ms:  # else its command is logged: the run was known, and is over
        run = _on_demand(work, row, order)
        row.runs.append(run)
        row.updated_ms = max(row.updated_ms, order.slot_ms)
    else:
        return False
    _in_flight(work, row, run, order)
    return True


def _take_slot(work: Work, row: Row, order: Execution) -> bool:
    """Moves the row behind the order's slot; what the step had decided of the slots before it is decided again."""
    if order.revision != row.revision:
        return False
    former = row.slot_ms, row.slots, row.owed_until_ms
    before: list[tuple[int, str, str]] = []
    try:
        calendars = work.calendars(row.namespace)
        for _ in range(CATCH_UP_SLOTS_MAX):
            taken = take_due_slot(row, work.now_ms, max(work.horizon_ms, order.due_ms), calendars)
            if taken is None or taken[0] >= order.slot_ms:
                break
            before.append(taken)
        else:
            taken = None
    except RuleError:
        taken = None
    if taken is None or taken[:2] != (order.slot_ms, RUN):
        row.slot_ms, row.slots, row.owed_until_ms = former
        return False
    for each in before:
        runs.open_slot(work, row, *each)
    return True


def _on_demand(work: Work, row: Row, order: Execution) -> OpenRun:
    """The run of a trigger or a replay, with what it carried of its own."""
    run = OpenRun(order.run, order.slot_ms, order.due_ms, kind="replay" if order.replay_of else "trigger")
    run.replay_of = order.replay_of
    if order.message != row.spec.message:
        run.message = order.message
    if order.target != stage_of(row, run, route_for(work, row))[0]:
        run.target = order.target
    return run


def _in_flight(work: Work, row: Row, run: OpenRun, order: Execution) -> None:
    route = route_for(work, row)
    run.due_ms = order.due_ms
    run.stage = order.stage
    _, policy, _ = stage_of(row, run, route)
    runs.began(work, row, run, policy, flow_of(row, route), track=order.track)
    if not order.track:
        runs.finish(work, row, run, RunState.SENT, max(work.now_ms, run.due_ms))

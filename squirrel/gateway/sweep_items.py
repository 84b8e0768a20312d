"""What an operation works on: runs or dead letters found by its filter, page by page, and what is done to one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from msgspec.structs import replace

from squirrel.gateway.letter_marks import LetterMarks
from squirrel.gateway.outcomes import DONE
from squirrel.gateway.problems import Answered
from squirrel.gateway.replays import ReplayOrder, Replays
from squirrel.gateway.run_search import read_letter_filter, read_run_filter
from squirrel.model.clock import Clock
from squirrel.model.errors import Problem
from squirrel.model.schedule import RUN_FINAL
from squirrel.stores.history import DeadLetterRecord, History
from squirrel.wire.operations import StoredOperation
from squirrel.wire.owner_link import NOT_FOUND, TOO_LATE


class Item(NamedTuple):
    """A run to call again, or a dead letter to call again or to give up."""

    run: str
    schedule_id: str
    letter: DeadLetterRecord | None = None


class Items(NamedTuple):
    """One page of them; `cursor` None ends the list."""

    items: list[Item]
    cursor: str | None


class Outcome(NamedTuple):
    """done, failed or skipped; why."""

    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SweepParts:
    """What operations work with."""

    clock: Clock
    new_id: Callable[[], str]
    history: History
    replays: Replays
    marks: LetterMarks


async def page_of_items(parts: SweepParts, operation: StoredOperation, limit: int, cursor: str | None) -> Items:
    """What matches and was there when the operation began: what it makes itself is never found. Raises Unavailable."""
    problems: list[Problem] = []
    if operation.source == "runs":
        where = read_run_filter(operation.filter, problems)
        where = replace(where, to_ms=_earlier(where.to_ms, operation.began_ms))
        page = await parts.history.runs(operation.namespace, where, limit, cursor)
        runs = (
            run.record for run in page.items if run.record.finished_ms is not None and run.record.state in RUN_FINAL
        )
        return Items([Item(record.id, record.schedule_id) for record in runs], page.next_cursor)
    letters = read_letter_filter(operation.filter, problems)
    letters = replace(letters, state=letters.state or "open", to_ms=_earlier(letters.to_ms, operation.began_ms))
    found = await parts.history.dead_letters(operation.namespace, letters, limit, cursor)
    return Items([Item(letter.run, letter.schedule_id, letter) for letter in found.items], found.next_cursor)


async def work_on(parts: SweepParts, operation: StoredOperation, item: Item, *, again: bool) -> Outcome:
    """Does it. `again`: it may have been done before, by a gateway that ended. Raises Unavailable: nothing is known then."""
    if operation.action == "discard":
        assert item.letter is not None, "only dead letters are discarded"
        await parts.marks.write(item.letter, "discarded", reason=operation.reason, actor=operation.actor)
        return Outcome("done")
    if operation.source == "runs":
        letter = await parts.history.dead_letter(operation.namespace, item.run)
        if letter is not None and letter.mark is not None and letter.mark.state == "discarded":
            return Outcome("skipped", f"its dead letter was discarded: {letter.mark.reason}")
    order = ReplayOrder(
        namespace=operation.namespace,
        schedule_id=item.schedule_id,
        run=item.run,
        command_id=_command_id(operation.id, item.run),
        accepted_ms=operation.chunk_ms,
        actor=f"operation {operation.id}",
    )
    if not again or await parts.history.run(operation.namespace, order.new_run) is None:
        try:
            _, decided = await parts.replays.send(order, by=operation.actor, reason=f"operation {operation.id}")
        except Answered as problem:
            return Outcome("skipped", problem.detail)
        if decided is not None and decided.code not in DONE:
            kind = "skipped" if decided.code in (TOO_LATE, NOT_FOUND) else "failed"
            return Outcome(kind, decided.detail or decided.code)
    else:
        await parts.replays.mark(order, by=operation.actor, reason=f"operation {operation.id}")
    return Outcome("done")


def _command_id(operation_id: str, run: str) -> str:
    return "op" + blake2b(f"{operation_id}\0{run}".encode(), digest_size=15).hexdigest()


def _earlier(given_ms: int | None, began_ms: int) -> int:
    return began_ms if given_ms is None else min(given_ms, began_ms)

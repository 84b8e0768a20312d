"""What the translations stand on: the native parts, asked in nouns instead of JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from squirrel.gateway.compat.exchange import Declined
from squirrel.gateway.listing import list_rows
from squirrel.gateway.lookups import Located
from squirrel.gateway.outcomes import problem_of
from squirrel.gateway.run_view import open_run_document, run_document, run_from_last
from squirrel.gateway.runs import CATCH_UP_LOOKS, CATCH_UP_MS
from squirrel.gateway.schedules import Parts
from squirrel.gateway.writes import Order
from squirrel.model.errors import Unavailable
from squirrel.model.ids import id_problem, run_id
from squirrel.model.limits import PAGE_ITEMS_MAX
from squirrel.model.schedule import Row, Spec, State, decode_row
from squirrel.recurrence import Rule, RuleError, compile_rule
from squirrel.stores.history import History, Run
from squirrel.wire import owner_link as codes
from squirrel.wire.owner_link import Decided, ListRows
from squirrel.wire.records import Command, Op

LISTED_ROWS_MAX: Final = 10_000  # none of the seeds pages its lists; a longer one would be an answer of many megabytes
LOOKED_AT_RUNS_MAX: Final = 20_000  # of one schedule, for one answer
REVIVE: Final = "revive"  # a change that reaches a schedule which is over, see engine/changes.py
_DONE: Final = frozenset({codes.CREATED, codes.REPEATED, codes.CHANGED, codes.CANCELLED, codes.TRIGGERED, codes.PARKED})
CHANGES_AT_ONCE_MAX: Final = 200  # cancels of one purge that wait for their outcome together


class Who(NamedTuple):
    """Whose schedules, and who says so."""

    namespace: str
    actor: str


class Inner:
    """One per gateway, shared by all translations."""

    def __init__(self, parts: Parts, history: History) -> None:
        self.parts = parts
        self.history = history

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return self.parts.clock.now_ms()

    def new_hex(self) -> str:
        """32 hex digits nobody can guess, whatever form this installation's own ids have."""
        return blake2b(self.parts.new_id().encode(), digest_size=16).hexdigest()

    async def create(self, who: Who, schedule_id: str, spec: Spec, *, paused: bool = False) -> Row:
        """A new schedule. An id that was deleted may be used again; one in use is Declined with 409."""
        command = self._command(who, "create", schedule_id)
        command = msgspec.structs.replace(command, spec=spec)
        partition = self.parts.lookups.home(who.namespace, schedule_id)
        orders = [Order(command, partition)]
        if paused:
            orders.append(Order(self._command(who, "pause", schedule_id), partition))
        outcomes = await self.parts.writes.send_all(orders)
        first = outcomes[0]
        if first is not None and first.code == codes.CONFLICT:
            row = _row(first)
            if row is None or row.state is not State.CANCELLED:
                raise Declined(409, f"{schedule_id} is taken by another schedule; send another id")
            return await self.update(who, Located(row, partition), spec, paused=paused)
        return self._settled(schedule_id, outcomes) or _expected(command, spec, paused=paused)

    async def update(
        self, who: Who, located: Located, spec: Spec, *, paused: bool | None = None, force: str = REVIVE
    ) -> Row:
        """A new spec in place; `paused` None leaves it paused or not as it is."""
        schedule_id = located.row.id
        command = msgspec.structs.replace(self._command(who, "update", schedule_id), spec=spec, force=force)
        orders = [Order(command, located.partition)]
        was_paused = located.row.state is State.PAUSED
        if paused is not None and paused is not was_paused:
            verb: Op = "pause" if paused else "resume"
            orders.append(Order(self._command(who, verb, schedule_id), located.partition))
        outcomes = await self.parts.writes.send_all(orders)
        settled = self._settled(schedule_id, outcomes)
        return settled or _expected(command, spec, paused=was_paused if paused is None else paused)

    async def verb(self, who: Who, located: Located, op: Op) -> Row:
        """pause or resume."""
        outcome = await self.parts.writes.send(Order(self._command(who, op, located.row.id), located.partition))
        return self._settled(located.row.id, [outcome]) or located.row

    async def cancel(self, who: Who, located: Located) -> None:
        """Takes it off the timeline and off the lists. Declined with 409 while its only run is under way."""
        command = msgspec.structs.replace(self._command(who, "cancel", located.row.id), force=REVIVE)
        outcome = await self.parts.writes.send(Order(command, located.partition))
        self._settled(located.row.id, [outcome])

    async def cancel_all(self, who: Who, rows: Sequence[Row]) -> None:
        """Cancels many; one that is under way is left to end by itself."""
        for start in range(0, len(rows), CHANGES_AT_ONCE_MAX):
            by_partition: dict[int, list[Order]] = {}
            for row in rows[start : start + CHANGES_AT_ONCE_MAX]:
                partition = self.parts.lookups.home(who.namespace, row.spec.group or row.id)
                command = msgspec.structs.replace(self._command(who, "cancel", row.id), force=REVIVE)
                by_partition.setdefault(partition, []).append(Order(command, partition))
            await asyncio.gather(*(self.parts.writes.send_all(orders) for orders in by_partition.values()))

    async def trigger(self, who: Who, located: Located, *, replay_of: str = "") -> str:
        """A run now; the id of the new run."""
        row = located.row
        command = self._command(who, "replay" if replay_of else "trigger", row.id)
        command = msgspec.structs.replace(command, run=replay_of)
        outcome = await self.parts.writes.send(Order(command, located.partition))
        self._settled(row.id, [outcome])
        return run_id(row.namespace, row.id, command.accepted_ms, command.command_id)

    async def find(self, namespace: str, schedule_id: str) -> Located | None:
        """A schedule by id; None for what cannot be an id and for what was deleted."""
        if id_problem(schedule_id) is not None:
            return None
        located = await self.parts.lookups.find(namespace, schedule_id)
        return None if located is None or located.row.state is State.CANCELLED else located

    async def rows(self, namespace: str, states: tuple[str, ...] = (), event: str = "") -> list[Row]:
        """Schedules, newest first, at most LISTED_ROWS_MAX. Raises Unavailable: a part of a list is no list."""
        where = ListRows(namespace, states=states, event=event, limit=PAGE_ITEMS_MAX)
        found: list[Row] = []
        cursor: str | None = None
        while len(found) < LISTED_ROWS_MAX:
            page = await list_rows(self.parts.link, where, cursor)
            found += page.rows
            cursor = page.cursor
            if cursor is None:
                break
        return found[:LISTED_ROWS_MAX]

    async def runs(self, namespace: str, schedule_id: str, row: Row | None, count: int) -> list[dict[str, Any]]:
        """The newest runs of a schedule as the native API shows them, newest first; open ones lead."""
        stored = await self.stored_runs(namespace, schedule_id, count)
        known = {run.record.id for run in stored}
        items = []
        if row is not None:
            items = [open_run_document(run, row) for run in reversed(row.runs) if run.id not in known]
            if row.last is not None and row.last.id not in known:
                items.append(run_from_last(row.last, row))
        items += [document for run in stored if (document := run_document(run.record.id, run, row))]
        return items[:count]

    async def stored_runs(
        self, namespace: str, schedule_id: str, count: int, states: Container[str] | None = None
    ) -> list[Run]:
        """The newest runs that the history knows, in these states; looks at a bounded number of others."""
        found: list[Run] = []
        cursor: str | None = None
        seen = 0
        while len(found) < count:
            limit = min(count - len(found), PAGE_ITEMS_MAX)
            page = await self.history.runs_of(namespace, schedule_id, limit, cursor)
            found += [run for run in page.items if states is None or run.record.state in states]
            seen += len(page.items)
            cursor = page.next_cursor
            if cursor is None or seen >= LOOKED_AT_RUNS_MAX:
                break
        return found

    async def run(self, namespace: str, name: str) -> dict[str, Any] | None:
        """One run as the native API shows it."""
        stored = await self.history.run(namespace, name)
        if stored is None:
            return run_document(name, None, await self.parts.lookups.of_run(namespace, name))
        located = await self._find_or_none(namespace, stored.record.schedule_id)
        row = None if located is None else located.row
        last = None if row is None else row.last
        for _ in range(CATCH_UP_LOOKS):
            # The recorder writes some milliseconds behind: the last attempts of a run that ended just now are waited for.
            if last is None or last.id != name or len(stored.attempts) >= last.attempts:
                break
            if self.now_ms() - last.finished_ms > CATCH_UP_MS:
                break
            await asyncio.sleep(CATCH_UP_MS / CATCH_UP_LOOKS / 1000)
            stored = await self.history.run(namespace, name) or stored
        return run_document(name, stored, row)

    async def _find_or_none(self, namespace: str, schedule_id: str) -> Located | None:
        try:
            return await self.parts.lookups.find(namespace, schedule_id)
        except Unavailable:
            return None  # the history alone still answers

    def _settled(self, schedule_id: str, outcomes: Sequence[Decided | None]) -> Row | None:
        """The row after the last outcome; None when that is not known yet. Raises Answered for what was refused."""
        row: Row | None = None
        for outcome in outcomes:
            if outcome is not None and outcome.code == codes.TOO_LATE:
                raise Declined(409, "its run is under way or over; wait for it to end, then send this again")
            if outcome is not None and outcome.code not in _DONE:
                raise problem_of(schedule_id, outcome)
            row = None if outcome is None else _row(outcome)
        return row

    def _command(self, who: Who, op: Op, schedule_id: str) -> Command:
        return Command(
            op=op,
            namespace=who.namespace,
            id=schedule_id,
            command_id=self.parts.new_id(),
            accepted_ms=self.now_ms(),
            reply=True,
            actor=who.actor,
        )


def rule_of(row: Row) -> Rule | None:
    """The compiled rule of a schedule; None for one that needs the namespace's calendars, which only the engine holds."""
    try:
        return compile_rule(row.spec.when, created_ms=row.rule_ms or row.created_ms)
    except RuleError:
        return None


def _row(decided: Decided) -> Row | None:
    if decided.row is None:
        return None
    row: Row = decode_row(decided.row)
    return row


def _expected(command: Command, spec: Spec, *, paused: bool) -> Row:
    """What the row will be once the owner, who is away, has applied the command that Kafka holds already."""
    return Row(
        namespace=command.namespace,
        id=command.id,
        state=State.PAUSED if paused else State.ACTIVE,
        wake_ms=None,
        created_ms=command.accepted_ms,
        event=spec.event,
        tags=spec.tags,
        revision=1,
        runs=[],
        spec=spec,
        updated_ms=command.accepted_ms,
        slot_ms=spec.when.at_ms,
    )

"""One partition's life: load the rows of a batch, step, and carry the work out in the write order.

The order, and why no crash loses work: (2) executions and everything else that others must see, (3) changelog, (4) one local
WriteBatch, (5) the commit of the input, by the lane after we return. Nothing is ever ahead of the log; a crash between 2 and 3
emits the same run and attempt again. Any error ends the process: its supervisor starts it from the log.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from squirrel.engine import adoption, step
from squirrel.engine.admission import Admission
from squirrel.engine.crowds import overtaking
from squirrel.engine.flows import Flows
from squirrel.engine.open_rows import open_rows
from squirrel.engine.outcomes import Outcomes
from squirrel.engine.parts import EngineParts, Poison, Record
from squirrel.engine.work import Work
from squirrel.model.errors import Fatal
from squirrel.model.limits import FLOW_OPEN_SCANNED_MAX
from squirrel.model.schedule import Row, decode_row, decode_row_head, encode_row
from squirrel.streams.timeline.changes import Change
from squirrel.streams.timeline.keys import s_key, w_child, w_key, w_prefix
from squirrel.wire.partitioner import partition_of
from squirrel.wire.public import Completion, DeadLetter, Result, cloud_event_headers, encode_public, refused_record
from squirrel.wire.records import Command, Execution, Undecodable, decode_command, encode_command, encode_execution

ALIVE_MS = 60_000
PUNCTUAL_MS = 1_000  # what is not later than this does not wait behind what is
AFTER_CROWD_PART = 3  # of the room of a step
BACKLOG_PART = 4  # of the room of a step: so much at least is for what is late, however much is due now
FIRE_RECORDS_MAX = 10_000  # emitted by one step: schedules that are made up for may owe a thousand runs each
FIRE_BYTES_MAX = 16 * 1024 * 1024  # of rows taken off the timeline in one step, so that large messages do not pile up


class Owner:
    """The owner of one partition: lanes and the firing loop take turns on its lock."""

    def __init__(self, parts: EngineParts, partition: int, epoch: int) -> None:
        self.parts = parts
        self.partition = partition
        self.epoch = epoch
        self.lock = asyncio.Lock()
        self.woken = asyncio.Event()
        self.next_wake_ms: int | None = None
        self.outcomes = Outcomes()
        self.flows = Flows()
        self.admission = Admission(parts.emit_window)
        self.active = True
        self._half_done = False  # a batch is being carried out, or was not carried out to its end

    async def take_commands(self, records: Sequence[Any]) -> None:
        """Apply one batch of the commands topic; durable when it returns."""
        commands: list[tuple[int, Command]] = []
        poison: list[Poison] = []
        for record in records:
            try:
                commands.append((record.offset, decode_command(record.value)))
            except Undecodable as error:
                poison.append(Poison(self.parts.topics.commands, record, str(error)))
        async with self.lock:
            work = self._work()
            self._load(work, [s_key(command.namespace, command.id) for _, command in commands])
            for offset, command in commands:
                step.take_command(work, command, offset)
            await self._carry_out(work, poison)
        self.parts.counters.commands += len(commands)
        self.outcomes.applied(records[-1].offset, work.outcomes)

    async def take_results(self, records: Sequence[Any], decode: Callable[[bytes], Any]) -> None:
        """Apply one batch of the results topic; durable when it returns."""
        results: list[Any] = []
        poison: list[Poison] = []
        for record in records:
            try:
                results.append(decode(record.value or b""))
            except (ValueError, RecursionError) as error:
                poison.append(Poison(self.parts.topics.results, record, f"not a result: {error}"))
        async with self.lock:
            work = self._work()
            self._load(work, [s_key(result.namespace, result.schedule_id) for result in results])
            for result in results:
                if result.attempt == 1:
                    self.parts.counters.late(result.started_ms - result.due_ms)
                    self.parts.observe_lateness(result.started_ms - result.due_ms)
                step.take_result(work, result)
            await self._carry_out(work, poison)
        self.parts.counters.results += len(results)
        had_no_room = [self.admission.answered(result.run, result.attempt) for result in results]
        if True in had_no_room:
            self.woken.set()

    async def adopt(self, orders: Sequence[Execution]) -> int:
        """Make known to the rows what a former owner's last step had ordered and not logged; how many orders that were.

        At the start of an ownership, before anything else is decided. So `adopt_given_up`, for slots that it gave up.
        """
        async with self.lock:
            work = self._work(orders[0].emitted_ms)
            self._load(work, [s_key(order.namespace, order.schedule) for order in orders])
            if adopted := adoption.adopt(work, orders):
                self.admission.emitted(adopted, self.parts.clock.now_ms())
                await self._carry_out(work, ())
        return len(adopted)

    async def adopt_given_up(self, completions: Sequence[Completion]) -> int:
        """How many rows that were."""
        async with self.lock:
            work = self._work(completions[0].finished_ms)
            self._load(work, [s_key(each.namespace, each.schedule_id) for each in completions])
            if count := adoption.adopt_given_up(work, completions):
                await self._carry_out(work, ())
        return count

    async def fire(self, limit: int) -> int:
        """Take up to `limit` rows whose wake has come off the timeline and carry them out; how many there were."""
        async with self.lock:
            if not self.active:
                return 0
            work = self._work()
            ready = self.parts.store.ready(self.partition, work.horizon_ms)
            shares = self.admission.shares(ready, limit, work.now_ms)
            taken, cut_short = self._take_due(work, shares)
            self.admission.took(shares, taken, work.executions, cut_short=cut_short)
            count = sum(taken.values())
            if count:
                await self._carry_out(work, ())
            return count

    def _take_due(self, work: Work, shares: Sequence[tuple[str, int]]) -> tuple[dict[str, int], bool]:
        """(rows stepped, by namespace; whether the step was full before their end). What is not reached stays in its place."""
        taken: dict[str, int] = {}
        bytes_left = FIRE_BYTES_MAX
        for namespace, share in shares:
            count = 0
            for key, value in self._due(work, namespace, share):
                row = decode_row(value)
                work.load(key, row)
                step.take_due(work, row)
                count += 1
                bytes_left -= len(value)
                if bytes_left < 0 or len(work.executions) + len(work.completions) > FIRE_RECORDS_MAX:
                    taken[namespace] = count
                    return taken, True
            taken[namespace] = count
        return taken, False

    def _due(self, work: Work, namespace: str, limit: int) -> list[tuple[bytes, bytes]]:
        """What has come, earliest first. In a crowd a part of the room is for what is due after it; before a crowd that is late
        goes what is due now. So neither a bulk that is due in one instant nor a backlog holds up what comes after.
        """
        store, punctual_ms = self.parts.store, work.now_ms - PUNCTUAL_MS
        due = store.due(self.partition, namespace, work.horizon_ms, limit)
        if len(due) < limit:
            return due
        crowd_ms = decode_row_head(due[-1][1]).wake_ms or 0
        room = self.admission.of_a_crowd(namespace, limit)
        part = max(-(-limit // AFTER_CROWD_PART), limit - room)
        later = dict(store.due(self.partition, namespace, work.horizon_ms, part, crowd_ms + 1))
        if later and crowd_ms < punctual_ms:
            part = max(limit - limit // BACKLOG_PART, part)
            later = dict(store.due(self.partition, namespace, work.horizon_ms, part, punctual_ms)) | later
        ahead = overtaking(due, later.items())[: min(part, limit)]
        return ahead + due[: min(room, limit - len(ahead))]

    def _work(self, as_of_ms: int | None = None) -> Work:
        now_ms = self.parts.clock.now_ms() if as_of_ms is None else as_of_ms
        return Work(
            now_ms=now_ms,
            horizon_ms=now_ms + self.parts.emit_ahead_ms,
            epoch=self.epoch,
            draw=self.parts.draw,
            route=self.parts.route,
            children=self._children,
            calendars=self.parts.calendars,
            listeners=self.parts.listeners,
            workflows=self.parts.workflows,
            flows=self.flows,
            room_to_repeat=self.admission.room_to_repeat,
        )

    def _children(self, namespace: str, parent: str, after_child: str, limit: int) -> list[tuple[str, str]]:
        after = w_key(namespace, parent, after_child) if after_child else None
        found = self.parts.store.scan(self.partition, w_prefix(namespace, parent), after, limit)
        return [(w_child(key), value.decode()) for key, value in found]

    def _load(self, work: Work, keys: Sequence[bytes]) -> None:
        distinct = list(dict.fromkeys(keys))
        for key, value in zip(distinct, self.parts.store.get_many(self.partition, distinct), strict=True):
            work.load(key, decode_row(value) if value is not None else None)

    async def _carry_out(self, work: Work, poison: Sequence[Poison]) -> None:
        """Steps 2 to 4 of the write order. A batch that failed half-way is the last one of this owner.

        What it emitted or logged may be in Kafka although the local rows know nothing of it: whoever stepped on from them would
        cancel what is being called. The process ends, and its supervisor starts it from the log.
        """
        if self._half_done:
            raise Fatal(f"partition {self.partition}: the batch before this one was not carried out to its end")
        self._half_done = True
        await self._write(work, poison)
        self._half_done = False

    async def _write(self, work: Work, poison: Sequence[Poison]) -> None:
        changes, log = self._changes(work)
        outgoing = self._outgoing(work, poison)
        if (gone := self.parts.gone()) is not None:
            # After a stall this is the first line that runs: what was decided before it must not go out behind a new owner.
            raise Fatal(f"nothing more is emitted for partition {self.partition}: {gone}")
        if outgoing:
            append = self.parts.writer.append
            await asyncio.gather(*(append(topic, number, records) for (topic, number), records in outgoing.items()))
        self.admission.emitted(work.executions, work.now_ms)
        self.admission.emitted(work.once, work.now_ms)
        self._count(work, poison)
        if not changes:
            return
        changelog_offset = await self.parts.writer.append(self.parts.topics.changelog, self.partition, log)
        if work.once:  # after the log: a crash in between leaves an unknown outcome, and never a second call
            records = [(each.schedule.encode(), encode_execution(each), ()) for each in work.once]
            await self.parts.writer.append(self.parts.topics.executions, self.partition, records)
        self.parts.store.apply(
            self.partition,
            changes,
            wall_ms=work.now_ms,
            changelog_offset=changelog_offset,
        )
        self._wake_for(work)

    def _changes(self, work: Work) -> tuple[list[Change], list[Record]]:
        changes: list[Change] = []
        log: list[Record] = []
        for key, entry in work.entries.items():
            if not entry.touched:
                continue
            row = entry.row
            value = encode_row(row) if row is not None else None
            lost, gained = entry.changed_keys()
            changes.append((key, value, lost, gained))
            log.append((key, value, ()))
        for key, value in work.waiters.items():
            changes.append((key, value, [], []))
            log.append((key, value, ()))
        return changes, log

    def _outgoing(self, work: Work, poison: Sequence[Poison]) -> dict[tuple[str, int], list[Record]]:
        topics = self.parts.topics
        outgoing: dict[tuple[str, int], list[Record]] = defaultdict(list)
        if work.executions:
            outgoing[topics.executions, self.partition] = [
                (execution.schedule.encode(), encode_execution(execution), ()) for execution in work.executions
            ]
        if work.completions:
            outgoing[topics.completions, self.partition] = [completion_record(item) for item in work.completions]
        if work.dead_letters:
            outgoing[topics.dead_letters, self.partition] = [dead_letter_record(item) for item in work.dead_letters]
        if work.results:
            outgoing[topics.results, self.partition] = [attempt_record(item) for item in work.results]
        for order in work.orders:
            number = partition_of(order.namespace, order.home or order.id, self.parts.partitions)
            if order.op == "place" and number == self.partition:
                continue  # the group lives where the id does: the row itself is there
            outgoing[topics.commands, number].append((order.id.encode(), encode_command(order), ()))
        if work.definitions:
            outgoing[topics.definitions, 0] = [(key.encode(), value, ()) for key, value in work.definitions.items()]
        refused = (topics.refused, self.partition % self.parts.refused_partitions)
        for refusal in work.refusals:
            value = encode_command(refusal.command)
            record = refused_record(refusal.code, refusal.field, refusal.detail, refusal.command.source, value)
            outgoing[refused].append((refusal.command.id.encode(), record, ()))
        for topic, record, reason in poison:
            source = (topic, self.partition, record.offset)
            outgoing[refused].append(
                (record.key or b"", refused_record("poison", "", reason, source, record.value), ())
            )
        return outgoing

    def _count(self, work: Work, poison: Sequence[Poison]) -> None:
        counters = self.parts.counters
        counters.executions += len(work.executions) + len(work.once)
        counters.completions += len(work.completions)
        counters.dead_letters += len(work.dead_letters)
        counters.refused += len(work.refusals)
        counters.replays += work.replays
        counters.poison += len(poison)

    def _wake_for(self, work: Work) -> None:
        earliest = self.next_wake_ms
        for entry in work.entries.values():
            wake_ms = entry.row.wake_ms if entry.touched and entry.row is not None else None
            if wake_ms is not None and (earliest is None or wake_ms < earliest):
                earliest = wake_ms
        if earliest != self.next_wake_ms:
            self.next_wake_ms = earliest
            self.woken.set()

    def recount_flows(self) -> None:
        """Learn from the rows what former owners left under way; at the start of an ownership."""
        self.flows.recount(open_rows(self.parts.store, self.partition, FLOW_OPEN_SCANNED_MAX))

    def note_alive(self) -> None:
        """Once a minute, note that the local copy was current: an idle partition must not look older than its changelog."""
        now_ms = self.parts.clock.now_ms()
        if self.active and now_ms - self.parts.store.meta(self.partition).wall_ms > ALIVE_MS:
            self.parts.store.note_current(self.partition, now_ms)

    def leave(self) -> None:
        """The partition goes to another owner: nothing more is emitted, whoever waits asks there."""
        self.active = False
        self.woken.set()
        self.outcomes.give_up()


def completion_record(completion: Completion) -> Record:
    """The record of a final outcome: JSON, keyed by schedule id, with CloudEvents headers."""
    headers = cloud_event_headers(
        f"run.{completion.state}",
        completion.namespace,
        completion.schedule_id,
        f"{completion.run}/{completion.attempts}",
        completion.finished_ms,
    )
    return completion.schedule_id.encode(), encode_public(completion), headers


def attempt_record(result: Result) -> Record:
    """The record of an attempt that no executor reports: as `executor/results.py` writes it."""
    event_id = f"{result.run}/{result.attempt}"
    headers = cloud_event_headers(
        "attempt.finished", result.namespace, result.schedule_id, event_id, result.finished_ms
    )
    return result.schedule_id.encode(), encode_public(result), headers


def dead_letter_record(letter: DeadLetter) -> Record:
    """The record of an exhausted run: JSON, keyed by schedule id."""
    return letter.schedule_id.encode(), encode_public(letter), ()


def row_of(value: bytes | None) -> Row | None:
    """A stored row, decoded."""
    return decode_row(value) if value is not None else None

"""Recovery: brings a partition's local state up to the end of its changelog, from wherever the disk left it.

Stock Faust replays 11,000 rows/s through one queue and can hang for ever (reference faust.md, 1 and 3). This reads with a
consumer of its own, without a group, to the end offset taken when it starts, in batches, through the same `changes_of` as the
live path. RocksDB's log is off meanwhile: what a crash takes is read again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from msgspec import MsgspecError

from squirrel.model.clock import Clock
from squirrel.model.errors import Fatal
from squirrel.model.limits import MIB
from squirrel.streams.lean_consumer import LeanConsumer
from squirrel.streams.timeline.changes import Change, changes_of, row_keys
from squirrel.streams.timeline.keys import MARKER_KEY, TAKEN_KEY
from squirrel.streams.timeline.origin import Origin, cluster_id, log_id_of
from squirrel.streams.timeline.store import NO_OFFSET, TimelineStore
from squirrel.streams.writer import BatchWriter, Record

STEP_RECORDS: Final = 1000  # applied without letting the loop go: about 10 ms, so that other partitions keep firing
FETCH_BYTES: Final = 8 * MIB
AT_ONCE_MAX: Final = 2  # partitions recovering at the same time: more would only share the same core
STALL_SECONDS: Final = 60.0
STANDBY_PAUSE_SECONDS: Final = 0.03  # after each step of a standby copy, twice as long as the step itself
SEEN_SLOTS: Final = 1 << 23  # bytes of memory per recovering partition
AHEAD_MS_MAX: Final = 3_600_000  # a local state that was current later than this from now was written by a wrong clock
# An owner's epoch is the offset of its own record in the changelog: no two owners share one, and none is lower than a former
# owner's. Older releases had the group's generation (31 bits) there; every epoch of ours is above those.
EPOCH_BASE: Final = 1 << 32

Progress = Callable[[int, int, int], None]
SetAside = Callable[[int, int, bytes, bytes | None, str], Awaitable[None]]
LogNote = Callable[[int, str], None]


async def _nowhere(partition: int, offset: int, key: bytes, value: bytes | None, reason: str) -> None:
    raise Fatal(f"record {offset} of partition {partition}'s changelog is {reason}")


@dataclass(frozen=True, slots=True)
class RecoverySettings:
    """`delete_retention_ms` is the changelog's: local state older than that may have missed tombstones and is rebuilt.

    `progress(partition, done, total)` after every step, in records. `noted(partition, sentence)` says why state was rebuilt.
    `committed(partition)`: the offset the group has committed on the partition's input, None when there is none; with it an
    empty changelog of a partition that has worked before is recognised even when the disk is empty too.
    `new_log_id()`: what an unused changelog will be known by. `set_aside(partition, offset, key, value, reason)` keeps a record
    that is none of ours.
    """

    brokers: str
    changelog: str
    client_id: str
    delete_retention_ms: int
    clock: Clock
    progress: Progress = lambda partition, done, total: None
    noted: LogNote = lambda partition, sentence: None
    committed: Callable[[int], Awaitable[int | None]] | None = None
    stall_seconds: float = STALL_SECONDS
    new_log_id: Callable[[], str] = lambda: uuid.uuid4().hex
    set_aside: SetAside = _nowhere


class Recovered(NamedTuple):
    """What one recovery did: records read; why local state was removed first, or None; the owner's epoch (0: no writer)."""

    records: int
    rebuilt_because: str | None
    epoch: int = 0


class Recovery:
    """Opens and recovers partitions of one store; `recover` is what an owner's `on_assigned` awaits."""

    def __init__(self, settings: RecoverySettings, store: TimelineStore, writer: BatchWriter | None = None) -> None:
        """`writer` takes the changelog over, so that no former owner can write to it, and gives an unused one its id."""
        self._settings = settings
        self._store = store
        self._writer = writer
        self._turn = asyncio.Semaphore(AT_ONCE_MAX)
        self._cluster = ""
        self.running: dict[int, tuple[int, int]] = {}  # partition -> (done, total) records
        self.moved_at = settings.clock.monotonic()  # the last time any of them read something

    async def recover(self, partition: int) -> Recovered:
        """Opens the partition and replays. On an error or a cancel the store is left open for `on_lost` to close.

        Raises Fatal when the changelog was emptied or recreated, or when nothing moves for `stall_seconds`.
        """
        async with self._turn:
            self.moved_at = self._settings.clock.monotonic()
            if not self._store.is_open(partition):
                self._store.open(partition)
            consumer = self.reader()
            try:
                await consumer.start()
                return await self._recover(consumer, partition)
            finally:
                self.running.pop(partition, None)
                await consumer.stop()

    def reader(self) -> Any:
        """A consumer for changelogs, without a group, not started."""
        return LeanConsumer(
            bootstrap_servers=self._settings.brokers,
            client_id=f"{self._settings.client_id}-recovery",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=2 * FETCH_BYTES,
            fetch_max_wait_ms=100,
        )

    async def catch_up(self, consumer: Any, partition: int, cut: Callable[[], bool]) -> int:
        """Brings a standby copy nearer to its owner's, so that `recover` need not. How many records it still lacks.

        Takes nothing over. `cut()` ends it after the step at hand; Fatal as `recover`.
        """
        tp = TopicPartition(self._settings.changelog, partition)
        if not self._store.is_open(partition):
            self._store.open(partition)
        consumer.assign([tp])
        current_ms = self._settings.clock.now_ms()
        first = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        if self._store.meta(partition).changelog_offset == end - 1 and self._store.origin(partition):
            self._store.note_current(partition, current_ms)
            return 0
        origin = await self._origin(consumer, tp, first, end)
        self._wiped(partition, self._why_foreign(origin))
        await self._never_fresh_on_empty(origin, first, end)
        self._wiped(partition, self._why_rebuild(partition, first, current_ms))
        self._store.claim(partition, origin.encode())
        local = self._store.meta(partition)
        start = max(local.changelog_offset + 1, first)
        wall_ms = current_ms if local.changelog_offset == NO_OFFSET else local.wall_ms
        self.moved_at = self._settings.clock.monotonic()
        await self._replay(consumer, tp, start, end, wall_ms, cut)
        self.running.pop(partition, None)
        left: int = end - 1 - self._store.meta(partition).changelog_offset
        if left <= 0:
            self._store.apply(partition, (), wall_ms=current_ms)
        return left

    async def renew(self, partition: int) -> None:
        """Takes the changelog of an owned partition over again, before Kafka forgets who has it. Nothing else may be written."""
        if self._writer is not None:
            await self._writer.take_over(self._settings.changelog, partition, [self._taken()])

    async def _recover(self, consumer: Any, partition: int) -> Recovered:
        tp = TopicPartition(self._settings.changelog, partition)
        consumer.assign([tp])
        current_ms = self._settings.clock.now_ms()
        first = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        origin = await self._origin(consumer, tp, first, end)
        reason = self._wiped(partition, self._why_foreign(origin))
        await self._never_fresh_on_empty(origin, first, end)
        reason = reason or self._wiped(partition, self._why_rebuild(partition, first, current_ms))
        epoch = 0
        if self._writer is not None:
            markers = [self._taken()]
            if first == end:
                # Keyed apart from rows; compaction keeps it, so a changelog in use is never empty.
                origin = origin._replace(log_id=self._settings.new_log_id())
                markers.insert(0, (MARKER_KEY, origin.log_id.encode(), ()))
            last = await self._writer.take_over(tp.topic, partition, markers)
            end, epoch = last + 1, EPOCH_BASE + last
        self._store.claim(partition, origin.encode())
        local = self._store.meta(partition)
        start = max(local.changelog_offset + 1, first)
        # What is replayed is current as of the old clock until the end is reached; a rebuild is as of its start.
        wall_ms = current_ms if local.changelog_offset == NO_OFFSET else local.wall_ms
        fresh = local.changelog_offset == NO_OFFSET
        if fresh:
            self._store.hold_compactions(partition, hold=True)
        records = await self._replay(consumer, tp, start, end, wall_ms)
        if fresh:
            self._store.hold_compactions(partition, hold=False)
        self._store.apply(partition, (), wall_ms=current_ms, changelog_offset=max(end - 1, NO_OFFSET))
        if records:
            self._store.flush(partition)
        return Recovered(records, reason, epoch)

    def _taken(self) -> Record:
        return TAKEN_KEY, self._settings.client_id.encode(), ()

    async def _origin(self, consumer: Any, tp: TopicPartition, first: int, end: int) -> Origin:
        if not self._cluster:
            self._cluster = await cluster_id(self._settings.brokers, f"{self._settings.client_id}-recovery")
        return Origin(tp.partition, self._cluster, tp.topic, await log_id_of(consumer, tp, first, end))

    def _wiped(self, partition: int, reason: str | None) -> str | None:
        if reason is not None:
            self._settings.noted(partition, f"{self._store.path / str(partition)}: {reason}")
            self._store.wipe(partition)
        return reason

    def _why_foreign(self, origin: Origin) -> str | None:
        if self._store.meta(origin.partition).changelog_offset == NO_OFFSET:
            return None
        return origin.why_foreign(Origin.decode(self._store.origin(origin.partition)))

    async def _replay(
        self,
        consumer: Any,
        tp: TopicPartition,
        start: int,
        end: int,
        wall_ms: int,
        cut: Callable[[], bool] | None = None,
    ) -> int:
        position = start
        done = 0
        step = _Step(self._store, tp.partition)
        if position < end:
            consumer.seek(tp, position)
        while position < end and not (cut is not None and cut()):
            batch = (await consumer.getmany(tp, timeout_ms=1000, max_records=STEP_RECORDS)).get(tp, ())
            if batch:
                records = [(record.key or b"", record.value) for record in batch]
                try:
                    changes = step.changes(records)
                except (MsgspecError, ValueError, RecursionError):
                    changes = step.changes(await self._without_poison(tp.partition, batch))
                offset = batch[-1].offset
                self._store.apply(tp.partition, changes, wall_ms=wall_ms, changelog_offset=offset)
                done += len(batch)
            reached = await consumer.position(tp)  # moves over compacted holes, where no record is left
            now = self._settings.clock.monotonic()
            if reached > position:
                position = reached
                self.moved_at = now
                self.running[tp.partition] = (position - start, end - start)
                self._settings.progress(tp.partition, position - start, end - start)
                # A copy that nobody needs yet leaves the core to those who fire.
                await asyncio.sleep(0 if cut is None else STANDBY_PAUSE_SECONDS)
            elif now - self.moved_at > self._settings.stall_seconds:
                raise Fatal(
                    f"recovery of {tp.topic}/{tp.partition} stands still at offset {position} of {end} "
                    f"for {self._settings.stall_seconds:g} s"
                )
        return done

    async def _without_poison(self, partition: int, batch: Sequence[Any]) -> list[tuple[bytes, bytes | None]]:
        """Rows that no release of ours wrote must not keep a partition from its owner: they are set aside and left out."""
        good = []
        for record in batch:
            try:
                changes_of([(record.key or b"", record.value)], {})
                good.append((record.key or b"", record.value))
            except (MsgspecError, ValueError, RecursionError) as error:
                await self._settings.set_aside(
                    partition, record.offset, record.key, record.value, f"not a row: {error}"
                )
        return good

    async def _never_fresh_on_empty(self, origin: Origin, first: int, end: int) -> None:
        """design.md, "Never fresh on empty": an engine whose changelog was emptied or recreated under it stops."""
        partition = origin.partition
        local = self._store.meta(partition)
        held = Origin.decode(self._store.origin(partition))
        name = f"the changelog {self._settings.changelog}/{partition}"
        cure = (
            "It was emptied or recreated. Restore the topic; or, if the schedules in it are really to be given up, remove the "
            f"directory {self._store.path} and the group's committed offsets, and start again."
        )
        if end < local.changelog_offset + 1:
            raise Fatal(f"{name} ends at offset {end}, before the local state's {local.changelog_offset}. {cure}")
        if first != end:
            if held is not None and origin.is_another_life(held):
                raise Fatal(
                    f"{name} is not the one that the local state was made from: {held.log_id} is now {origin.log_id}. {cure}"
                )
            return
        if local.changelog_offset != NO_OFFSET:
            raise Fatal(f"{name} is empty while the local state has rows up to offset {local.changelog_offset}. {cure}")
        if self._settings.committed is not None and await self._settings.committed(partition):
            raise Fatal(f"{name} is empty although this group has worked on its input before. {cure}")

    def _why_rebuild(self, partition: int, first: int, current_ms: int) -> str | None:
        local = self._store.meta(partition)
        if local.changelog_offset == NO_OFFSET:
            return None
        age_ms = current_ms - local.wall_ms
        if age_ms > self._settings.delete_retention_ms:
            return (
                f"local state is {age_ms // 1000} s old, the changelog keeps tombstones for "
                f"{self._settings.delete_retention_ms // 1000} s: deleted rows could come back"
            )
        if age_ms < -AHEAD_MS_MAX:
            return (
                f"local state was written {-age_ms // 1000} s from now, by a wrong clock: how old it is cannot be told"
            )
        if first > local.changelog_offset + 1:
            return f"the changelog begins at offset {first}, behind the local state's {local.changelog_offset}"
        return None


class _Step:
    """Looks up what a batch replaces. While an empty store is rebuilt, a key that was not seen yet has nothing to replace:
    a table of hashes says so without asking RocksDB (a false "seen" only costs the look-up)."""

    def __init__(self, store: TimelineStore, partition: int) -> None:
        self._store = store
        self._partition = partition
        fresh = store.meta(partition).changelog_offset == NO_OFFSET
        self._seen: bytearray | None = bytearray(SEEN_SLOTS) if fresh else None

    def changes(self, records: Sequence[tuple[bytes, bytes | None]]) -> list[Change]:
        keys = row_keys(records) if self._seen is None else self._seen_before(records, self._seen)
        if not keys:
            return changes_of(records, {})
        values = self._store.get_many(self._partition, keys)
        return changes_of(records, dict(zip(keys, values, strict=True)))

    @staticmethod
    def _seen_before(records: Sequence[tuple[bytes, bytes | None]], seen: bytearray) -> list[bytes]:
        again = []
        mask = SEEN_SLOTS - 1
        for key, _ in records:
            if key[:1] != b"S":
                continue
            slot = hash(key) & mask
            if seen[slot]:
                again.append(key)
            else:
                seen[slot] = 1
        return again

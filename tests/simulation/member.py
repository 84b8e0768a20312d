"""One member of a group: the product's `LaneApp` without Faust beneath it. Its methods are the product's own functions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from squirrel.streams.app import LaneApp
from squirrel.streams.lanes import Committed, LaneSettings, TopicPartition
from squirrel.streams.offsets import Offsets
from squirrel.streams.ownership import Ownership
from tests.simulation.broker import Broker, Record
from tests.simulation.group import Group
from tests.simulation.loop import CURRENT, pause

FETCH_RECORDS = 500


class _Signal:
    async def send(self, *_: object) -> None:
        return


class ConsumerThread:
    """The twin of `LaneConsumerThread`: positions, fetches, commits. Nothing crosses a thread."""

    def __init__(self, app: MemberApp) -> None:
        self.app = app
        self.heartbeat_at: float | None = None
        self.generation = -1
        self.positions: dict[TopicPartition, int | None] = {}  # None: ask the group
        self.paused: set[TopicPartition] = set()
        self.appended = asyncio.Event()

    async def across(self, work: Awaitable[Any]) -> Any:
        return await work

    def assign(self, tps: set[TopicPartition], generation: int) -> None:
        self.generation = generation
        self.positions = dict.fromkeys(tps)
        self.paused = set(tps)

    async def leave(self) -> None:
        await self.app.broker.ask(self.app.process, lambda: self.app.group.leave(self.app))

    def partition_count(self) -> int:
        return len(self.app.broker.topics[self.app.topics[0]])

    async def fetch_committed(self, tps: list[TopicPartition]) -> dict[TopicPartition, Committed]:
        app = self.app
        found: dict[TopicPartition, Committed] = await app.broker.ask(
            app.process, lambda: app.group.committed_of(list(tps))
        )
        return found

    async def commit_marks(self, marks: Mapping[TopicPartition, tuple[int, str]]) -> set[TopicPartition]:
        app = self.app
        mine = {tp: mark for tp, mark in marks.items() if tp in self.positions}
        if mine:
            generation = self.generation
            app.process.point(f"{app.group.name} commit before")
            await app.broker.ask(app.process, lambda: app.group.commit(app, generation, mine))
            app.process.point(f"{app.group.name} commit after")
        return set(mine)

    async def gap(self, positions: Mapping[TopicPartition, int | None]) -> str | None:
        """What is to be read stands in the twin's log for ever."""
        committed = await self.fetch_committed(list(positions))
        for tp, held in positions.items():
            offset = committed[tp].offset if held is None else held
            log = self.app.broker.log(*tp)
            if offset is not None and not log.first <= offset <= log.next:
                return f"{tp.topic}/{tp.partition} does not hold what stands at {offset}"
        return None

    async def flow(self, positions: Mapping[TopicPartition, int | None]) -> None:
        for tp, offset in positions.items():
            if tp in self.positions:
                if offset is not None:
                    self.positions[tp] = offset
                self.paused.discard(tp)
        self.appended.set()

    def hold(self, tp: TopicPartition) -> None:
        self.paused.add(tp)

    def release(self, tp: TopicPartition) -> None:
        self.paused.discard(tp)
        self.appended.set()

    def lag(self, positions: Mapping[TopicPartition, int | None]) -> dict[TopicPartition, int]:
        broker = self.app.broker
        return {tp: max(broker.log(*tp).next - at, 0) for tp, at in positions.items() if at is not None}

    def told(self, topic: str, partition: int) -> None:
        if TopicPartition(topic, partition) in self.positions:
            self.appended.set()

    async def fetch_for_ever(self) -> None:
        """What `LaneConsumer._drain_messages` does."""
        app = self.app
        while True:
            wanted = [tp for tp in sorted(self.positions) if tp not in self.paused]
            generation = self.generation
            unknown = [tp for tp in wanted if self.positions[tp] is None]
            if unknown:
                found = await self.fetch_committed(unknown)
                if generation != self.generation:
                    continue
                for tp, committed in found.items():
                    self.positions[tp] = app.broker.log(*tp).first if committed.offset is None else committed.offset
                continue
            records = await self._fetch(wanted) if wanted else {}
            if generation != self.generation:
                continue
            if records:
                app.ownership.deliver(generation, records)
                await pause(0)
            else:
                self.appended.clear()
                if not self._behind(wanted):
                    await self.appended.wait()

    def _behind(self, wanted: list[TopicPartition]) -> bool:
        log = self.app.broker.log
        return any(at is not None and at < log(*tp).next for tp in wanted if (at := self.positions.get(tp)) is not None)

    async def _fetch(self, wanted: list[TopicPartition]) -> dict[TopicPartition, list[Record]]:
        broker: Broker = self.app.broker
        generation = self.generation
        at = {tp: self.positions[tp] or 0 for tp in wanted}
        answer = await broker.ask(
            self.app.process, lambda: {tp: broker.log(*tp).read(at[tp], FETCH_RECORDS) for tp in at}
        )
        out: dict[TopicPartition, list[Record]] = {}
        if generation != self.generation:
            return out
        for tp, records in answer.items():
            # A seek or a pause meanwhile makes what was fetched stale, as aiokafka's fetcher has it.
            if records and self.positions.get(tp) == at[tp] and tp not in self.paused:
                self.positions[tp] = records[-1].offset + 1
                out[tp] = records
        return out


class MemberApp:
    """`LaneApp` as the services use it; given to them in place of `lane_app`."""

    mark = LaneApp.mark
    committed = LaneApp.committed
    assigned = LaneApp.assigned
    ready = LaneApp.ready
    generation = LaneApp.generation
    lag = LaneApp.lag
    busy = LaneApp.busy
    heartbeat_at = LaneApp.heartbeat_at
    fail = LaneApp.fail
    on_rebalance_start = LaneApp.on_rebalance_start
    rebalance_started = LaneApp.rebalance_started
    rebalance_ended = LaneApp.rebalance_ended
    _commit_marks = LaneApp._commit_marks
    _flow = LaneApp._flow
    commit_now = LaneApp.commit_now
    on_stop = LaneApp.on_stop
    _alone = LaneApp._alone

    def __init__(self, settings: LaneSettings) -> None:
        self.process: Any = CURRENT.get()
        self.broker: Broker = self.process.world.broker
        self.group: Group = self.process.world.group(settings.group)
        self.instance_id = settings.instance_id or settings.client_id
        self.topics = sorted(settings.lanes)
        self.settings = settings
        self.failure: BaseException | None = None
        self.rebalancing = True
        self.rebalancing_count = 0
        self.rebalancing_since: float | None = settings.clock.monotonic()
        self.settled_at: float | None = None
        self.should_stop = False
        self.crashed = False
        self.consumer_generation_id = -1
        self._joined_after = -1  # the generation that was there when we joined again
        self.on_partitions_revoked = self.on_partitions_assigned = self.on_before_shutdown = _Signal()
        self._thread = ConsumerThread(self)
        self.offsets = Offsets(self._commit_marks, self.fail, settings.commit_seconds)
        self.ownership = Ownership(settings, self.offsets, self.fail, lambda: self._thread, self._flow)

    async def start(self) -> None:
        await self.broker.ask(self.process, lambda: None)
        self.broker.watch(self._thread.told)
        self.process.run(self._thread.fetch_for_ever())
        self.process.run(self.offsets.commit_for_ever())
        self.group.join(self)

    async def stop(self) -> None:
        self.should_stop = True
        await self.on_stop()

    async def crash(self, error: BaseException) -> None:
        del error
        self.crashed = True

    # --- told by the coordinator, which is in no process --------------------------------------------------------------

    def heard(self) -> None:
        """A heartbeat was taken; its answer is on the way."""
        self._thread.heartbeat_at = self.settings.clock.monotonic()

    def expelled(self) -> None:
        """A heartbeat is answered with "unknown member": give up everything, join anew."""
        if not self.rebalancing:
            self.process.run(self._rejoin())

    async def _rejoin(self) -> None:
        if self.rebalancing or self.should_stop or self.failure is not None:
            return
        self.on_rebalance_start()
        await self.rebalance_started(set(self._thread.positions))
        self._thread.assign(set(), -1)
        self.group.join(self)

    def revoke(self, joined: Callable[[], None]) -> None:
        self.process.run(self._revoke(joined))

    async def _revoke(self, joined: Callable[[], None]) -> None:
        await pause(self.process.world.draw() * 0.2)  # a heartbeat's answer says that the group rebalances
        if not self.rebalancing:
            self.on_rebalance_start()
            await self.rebalance_started(set(self._thread.positions))
        if self.failure is None and not self.should_stop:
            self._joined_after = self.group.generation
            joined()

    def given(self, share: frozenset[int], follows: frozenset[int], generation: int) -> None:
        # What was decided before we joined again is of no use any more: Kafka answers "rebalance in progress".
        if self.group.knows(self) and not self.process.dead and generation > self._joined_after:
            self.process.run(self._given(share, follows, generation))

    async def _given(self, share: frozenset[int], follows: frozenset[int], generation: int) -> None:
        tps = {TopicPartition(topic, number) for topic in self.topics for number in share}
        self._thread.assign(tps, generation)
        await self.rebalance_ended(tps, generation)
        if self.settings.on_follow is not None:
            self.settings.on_follow(follows)
        self._thread.heartbeat_at = self.settings.clock.monotonic()

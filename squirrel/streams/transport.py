"""Faust's aiokafka transport with three things replaced: the consumer's settings, what a fetch hands over, and the rebalance.

The consumer lives in its own thread and loop, so that heartbeats go on while the main loop works; everything that crosses does
so by `run_coroutine_threadsafe`. Records cross as whole lists and go to the partition's worker: stock Faust walks them one by
one through conductor, queue and stream (7,000-9,000 records/s against 280,000 in the prototype).
"""

# ruff: noqa: SLF001 - aiokafka's fetcher and coordinator have no public door; Faust itself goes through these

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, TypeVar

import aiokafka
from aiokafka.structs import OffsetAndMetadata
from aiokafka.structs import TopicPartition as KafkaTopicPartition
from faust.transport.conductor import Conductor
from faust.transport.consumer import Fetcher
from faust.transport.drivers import aiokafka as driver
from mode import Service

from squirrel.streams.lanes import PARTITION_FETCH_BYTES, Committed, TopicPartition
from squirrel.streams.lean_consumer import LeanConsumer

FETCH_SECONDS = 1.0  # how long one hand-over waits for records before it looks whether it should stop
T = TypeVar("T")


class LaneConsumerThread(driver.AIOKafkaConsumerThread):
    """The consumer's side. Methods marked "here" run in the consumer's thread, the others on the main loop."""

    app: Any  # the LaneApp
    consumer: Any
    heartbeat_at: float | None = None  # monotonic; None before the first one

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        settings = self.app.settings
        self._assignor = self.app.assignor
        kind = LeanConsumer if settings.bare_records else aiokafka.AIOKafkaConsumer
        return kind(
            client_id=settings.client_id,
            group_id=settings.group,
            group_instance_id=settings.instance_id,
            bootstrap_servers=settings.brokers,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=None,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
            fetch_min_bytes=settings.fetch_bytes_min,
            fetch_max_wait_ms=settings.fetch_wait_ms,  # Faust has 1500 written into it; a sparse partition waits that long
            session_timeout_ms=int(settings.session_seconds * 1000),
            heartbeat_interval_ms=int(settings.heartbeat_seconds * 1000),
            rebalance_timeout_ms=int(settings.rebalance_seconds * 1000),
            max_poll_interval_ms=86_400_000,  # a lane that stands still is the watchdog's business, not a silent leave
        )

    async def on_start(self) -> None:
        """Here: also notes every heartbeat that the coordinator took; aiokafka keeps that to itself."""
        await super().on_start()
        coordinator = self._ensure_consumer()._coordinator
        beat = coordinator._do_heartbeat

        async def noted() -> bool:
            taken: bool = await beat()
            if taken:
                self.heartbeat_at = self.app.settings.clock.monotonic()
            return taken

        coordinator._do_heartbeat = noted

    async def across(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` in the consumer's thread and waits for it on the main loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.thread_loop))

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Here: heartbeats go on while the main loop drains."""
        await self._on_main(self.consumer.on_partitions_revoked(set(revoked)))

    async def on_partitions_assigned(self, assigned: Iterable[Any], generation_id: int = 0) -> None:
        """Here: no heartbeat is sent until this returns, so it only pauses everything and passes the news on."""
        self._ensure_consumer().pause(*(KafkaTopicPartition(*tp) for tp in assigned))
        await self._on_main(self.consumer.on_partitions_assigned(set(assigned), generation_id))

    async def _on_main(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.parent_loop))

    async def fetch(self) -> tuple[int, Mapping[Any, list[Any]]]:
        """Here: everything fetched so far, and the generation it belongs to; waits up to FETCH_SECONDS."""
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        with fetcher._subscriptions.fetch_context():
            records = await fetcher.fetched_records(None, timeout=FETCH_SECONDS, max_records=None)
        return consumer._coordinator.generation, records

    async def gap(self, positions: Mapping[TopicPartition, int | None]) -> str | None:
        """Here: why what comes next is not in the log, or None. aiokafka would go on at the earliest record, in silence."""
        consumer = self._ensure_consumer()
        assigned = [KafkaTopicPartition(*tp) for tp in positions if tp in consumer.assignment()]
        committed = await self.fetch_committed(TopicPartition(*tp) for tp in assigned)
        first, end = await consumer.beginning_offsets(assigned), await consumer.end_offsets(assigned)
        for tp in assigned:
            held = positions[TopicPartition(*tp)]
            offset = committed[TopicPartition(*tp)].offset if held is None else held
            if offset is None or first[tp] <= offset <= end[tp]:
                continue
            name, group = f"{tp.topic}/{tp.partition}", self.app.settings.group
            if offset > end[tp]:
                was = f"{name} ends at offset {end[tp]}, before {offset}, up to which it was read: it was emptied or recreated"
            else:
                was = f"{name} begins at offset {first[tp]}, behind {offset}, up to which it was read: its retention ate the rest"
            return (
                f"{was}. Restore the topic; or, if those records are really to be given up, set the offsets of the group "
                f"{group} on it to its earliest ones, and start again."
            )
        return None

    async def flow(self, positions: Mapping[TopicPartition, int | None]) -> None:
        """Here: lets partitions flow, from the offset given or else from the committed one."""
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        for tp, offset in positions.items():
            if tp in assigned:
                if offset is not None:
                    consumer.seek(KafkaTopicPartition(*tp), offset)
                consumer.resume(KafkaTopicPartition(*tp))
        self._wake_fetcher()

    def hold(self, tp: TopicPartition) -> None:
        """Leaves a partition out of the next fetch; callable from the main loop."""
        self.thread_loop.call_soon_threadsafe(self._set_paused, tp, True)

    def release(self, tp: TopicPartition) -> None:
        """Undoes `hold`."""
        self.thread_loop.call_soon_threadsafe(self._set_paused, tp, False)

    def _set_paused(self, tp: TopicPartition, paused: bool) -> None:
        consumer = self._ensure_consumer()
        if tp not in consumer.assignment():
            return
        if paused:
            consumer.pause(KafkaTopicPartition(*tp))
        else:
            consumer.resume(KafkaTopicPartition(*tp))
            self._wake_fetcher()

    def _wake_fetcher(self) -> None:
        # A resume is only seen by a fetcher that was waiting for it; this makes it look again at once.
        fetcher = self._ensure_consumer()._fetcher
        fetcher._notify(fetcher._wait_consume_future)

    async def commit_marks(self, marks: Mapping[TopicPartition, tuple[int, str]]) -> set[TopicPartition]:
        """Here: commits what is still assigned and says what that was. Raises aiokafka's errors."""
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        mine = {tp: mark for tp, mark in marks.items() if tp in assigned}
        if mine:
            await consumer.commit({KafkaTopicPartition(*tp): OffsetAndMetadata(*mark) for tp, mark in mine.items()})
        return set(mine)

    async def fetch_committed(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Here: the group's offsets with their metadata, one request for all (aiokafka's own call asks one by one)."""
        wanted = [KafkaTopicPartition(*tp) for tp in tps]
        found = await self._ensure_consumer()._coordinator.fetch_committed_offsets(wanted)
        return {
            TopicPartition(*tp): Committed(found[tp].offset, found[tp].metadata) if tp in found else Committed(None, "")
            for tp in wanted
        }

    async def places(self) -> dict[TopicPartition, tuple[int | None, int]]:
        """Here: (position, end of the log) of every partition that is to flow; the end is asked of Kafka, not of the fetcher."""
        consumer = self._ensure_consumer()
        flowing = [tp for tp in consumer.assignment() if tp not in consumer.paused()]
        ends = await consumer.end_offsets(flowing) if flowing else {}
        assignment = consumer._subscription.subscription.assignment
        out = {}
        for tp in ends:
            state = assignment.state_value(tp) if assignment is not None else None
            if state is not None and not state.paused:
                out[TopicPartition(*tp)] = (state._position if state.has_valid_position else None, ends[tp])
        return out

    def lag(self, positions: Mapping[TopicPartition, int | None]) -> dict[TopicPartition, int]:
        """Records in the log behind each position, as of the last fetch; partitions never fetched are left out."""
        consumer = self._ensure_consumer()
        out = {}
        for tp, position in positions.items():
            highwater = consumer.highwater(KafkaTopicPartition(*tp)) if tp in consumer.assignment() else None
            if highwater is not None and position is not None:
                out[tp] = max(highwater - position, 0)
        return out

    async def leave(self) -> None:
        """Here, after the last commit: the group gives our partitions away at once.

        aiokafka leaves no group as a static member (KIP-345 says so for Java too): those who stop for good would be missed only
        after the session timeout. Kafka takes a LeaveGroup by member id from a static member as from any other.
        """
        coordinator = self._ensure_consumer()._coordinator
        coordinator._group_instance_id = None  # `close` then leaves, after the heartbeats have ended

    def partition_count(self) -> int:
        """Of the lane with the most; callable from the main loop."""
        consumer = self._ensure_consumer()
        return max(len(consumer.partitions_for_topic(topic) or ()) for topic in self.app.settings.lanes)

    def generation_here(self) -> int:
        """Here: the group's generation."""
        generation: int = self._ensure_consumer()._coordinator.generation
        return generation


class LaneConsumer(driver.Consumer):
    """Hands records to the app's partitions and the rebalance to its ownership; Faust's ack bookkeeping is not used."""

    app: Any  # the LaneApp
    _thread: LaneConsumerThread

    def _new_consumer_thread(self) -> LaneConsumerThread:
        # A loop of the kind that the service runs on: mode would make asyncio's own beside our uvloop.
        thread_loop = type(asyncio.get_running_loop())()
        return LaneConsumerThread(self, loop=self.loop, thread_loop=thread_loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        thread = self._thread
        deliver = self.app.ownership.deliver
        while not (self.should_stop or fetcher.should_stop):
            generation, records = await thread.across(thread.fetch())
            if records:
                deliver(generation, records)
            await asyncio.sleep(0)

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        # Faust drops what was acked but not committed before it commits (#502): every rebalance repeats work. Ours drains,
        # commits, and only then lets the group move on.
        await self.app.rebalance_started(revoked)

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        await self.app.rebalance_ended(assigned, generation_id)

    @Service.task
    async def _commit_handler(self) -> None:
        # Faust advances its committed-offset cache although the commit failed (#316); ours is told by the answer.
        await self.app.offsets.commit_for_ever()

    @Service.task
    async def _commit_livelock_detector(self) -> None:
        # Faust's compares broker time with a monotonic clock (#629). Ours asks Kafka how long the log is.
        await self.app.watch_flow()

    async def on_stop(self) -> None:
        return  # drained and committed by LaneApp before the consumer stops


class LaneFetcher(Fetcher):
    """Runs `_drain_messages`; Faust's own restarts itself on a rebalance and can stay dead (#523, #532)."""

    app: Any  # the LaneApp

    @Service.task
    async def _fetcher(self) -> None:
        try:
            await self.app.consumer._drain_messages(self)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a fetcher that ended would leave the service deaf
            if not (self.should_stop or self.app.should_stop):
                self.app.fail(error)
        finally:
            self.set_shutdown()


class LaneConductor(Conductor):
    """Subscribes to the lanes, once: Faust's waits for agents and resubscribes 45 s after every late topic."""

    app: Any  # the LaneApp

    @Service.task
    async def _subscriber(self) -> None:
        await self.app.consumer.subscribe(set(self.app.settings.lanes))


class LaneTransport(driver.Transport):
    """The door: `App._new_transport` returns it."""

    Consumer = LaneConsumer
    Fetcher = LaneFetcher
    Conductor = LaneConductor

"""The Faust app of a service: membership of one group, lanes, offsets. Start it, stop it, mark what is done.

    app = lane_app(LaneSettings(group="squirrel-engine", lanes={"squirrel.commands": lane}, owner=engine, ...))
    await app.start()
    ...
    await app.stop()

Faust's doors that are used: `_new_transport` (transport.py), the class settings `PartitionAssignor` and `TableManager`, the
boot strategy, the signals `on_partitions_assigned`, `on_partitions_revoked`, `on_before_shutdown`. Not used, with the reasons in
reference faust.md: its tables and recovery (11,000 rows/s, hangs), its producer (loses what it buffers), its web server.
"""

# ruff: noqa: SLF001 - Faust's boot strategy names `app._fetcher`; the consumer's thread is its own attribute

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager
from yarl import URL

from squirrel.model.errors import Fatal
from squirrel.streams.assignor import LaneAssignor
from squirrel.streams.lanes import Committed, LaneSettings, TopicPartition
from squirrel.streams.offsets import Offsets
from squirrel.streams.ownership import Ownership
from squirrel.streams.transport import LaneTransport
from squirrel.streams.watchdog import STARVED_LOOK_SECONDS, Starvation


class NoTables(TableManager):
    """Partitions are opened and recovered by `Ownership`; Faust's manager would hold every partition until all are ready."""

    async def on_start(self) -> None:
        return

    async def on_stop(self) -> None:
        return

    def on_rebalance_start(self) -> None:
        return

    async def wait_until_recovery_completed(self) -> bool:
        return False


class LaneBoot(BootStrategy):
    """Consumer, fetcher, subscription: in this order, and stopped in reverse."""

    app: Any

    def server(self) -> Iterable[Any]:
        return [self.app.consumer, self.app._fetcher, self.app.topics]


class LaneApp(faust.App):
    """One member of one consumer group. All methods belong to the loop that started it, unless they say otherwise."""

    BootStrategy = LaneBoot

    def __init__(self, settings: LaneSettings) -> None:
        self.settings = settings
        self.failure: BaseException | None = None
        self.rebalancing_since: float | None = settings.clock.monotonic()  # monotonic; None while the group is settled
        self.settled_at: float | None = None  # monotonic; the last assignment
        self.offsets = Offsets(self._commit_marks, self.fail, settings.commit_seconds)
        self.ownership = Ownership(settings, self.offsets, self.fail, lambda: self._thread, self._flow)
        super().__init__(
            settings.group,
            broker=[URL(f"kafka://{broker.strip()}") for broker in settings.brokers.split(",")],
            broker_client_id=settings.client_id,
            datadir=str(settings.datadir),
            autodiscover=False,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            PartitionAssignor=LaneAssignor,
            TableManager=NoTables,
        )

    # --- for the service ------------------------------------------------------------------------------------------

    def mark(self, topic: str, partition: int, next_offset: int, metadata: str = "") -> None:
        """Everything of that partition below `next_offset` is done; committed within the interval, with the metadata."""
        self.offsets.mark(topic, partition, next_offset, metadata)

    async def commit_now(self, topic: str, partition: int) -> bool:
        """Commit at once; whether the group has what was marked for that partition. False: the group moves, or moved."""
        return await self.offsets.commit_now(topic, partition)

    async def committed(self, topic: str, partition: int) -> Committed:
        """What the group has committed for that partition, asked of Kafka."""
        tp = TopicPartition(topic, partition)
        found = await self._thread.across(self._thread.fetch_committed([tp]))
        answer: Committed = found[tp]
        return answer

    def assigned(self) -> list[int]:
        """Partition numbers of this member; empty during a rebalance."""
        return self.ownership.assigned()

    def ready(self) -> list[int]:
        """Those whose state is open and whose records flow."""
        return self.ownership.ready()

    @property
    def generation(self) -> int:
        """The group's generation, which is the epoch of what this member owns; -1 before the first assignment."""
        return self.ownership.generation

    def lag(self) -> dict[TopicPartition, int]:
        """Records behind each lane's position, as of the last fetch."""
        if self.failure is not None or not self.ownership.active:
            return {}
        positions = {tp: offset for worker in self.ownership.workers() for tp, offset in worker.positions().items()}
        out: dict[TopicPartition, int] = self._thread.lag(positions)
        return out

    def busy(self) -> list[tuple[str, int, float]]:
        """(topic, partition, monotonic since when) of every lane that holds a batch; callable from any thread."""
        workers = [worker for worker in self.ownership.workers() if worker.busy_since is not None]
        return [(worker.busy_topic, worker.number, worker.busy_since or 0.0) for worker in workers]

    def heartbeat_at(self) -> float | None:
        """Monotonic, the last time Kafka heard this member; None while the group is not settled. From any thread."""
        settled_at = self.settled_at
        if settled_at is None or self.rebalancing_since is not None:
            return None
        beat_at: float | None = self._thread.heartbeat_at
        return settled_at if beat_at is None else max(beat_at, settled_at)

    async def watch_flow(self) -> None:
        """Ends the process when records stand in the log and none is handed over; runs until the app stops."""
        starvation = Starvation(self.settings.starved_seconds)
        look_seconds = min(STARVED_LOOK_SECONDS, self.settings.starved_seconds / 3)
        while not self.should_stop:
            await self.sleep(look_seconds)
            if self.failure is not None or not self.ownership.active:
                starvation.forget()
                continue
            try:
                places = await self._thread.across(self._thread.places())
            except KafkaError:
                starvation.forget()  # Kafka is away: nothing can be read, and nothing is wrong with us
                continue
            reason = starvation.look(self.settings.clock.monotonic(), places)
            if reason is not None:
                self.fail(Fatal(f"{reason}; ending the process so that its supervisor starts it again"))

    def fail(self, error: BaseException) -> None:
        """The process must end: nothing more is handed out or committed, and `on_fatal` is told once. Main loop only."""
        if self.failure is not None:
            return
        self.failure = error
        self.offsets.close()
        self.ownership.abandon()
        self._crashing = asyncio.get_running_loop().create_task(self.crash(error), name="crash")
        self.settings.on_fatal(error)

    # --- the rebalance, called by the consumer --------------------------------------------------------------------

    def on_rebalance_start(self) -> None:
        """In the consumer's thread: a flag only."""
        self.rebalancing = True
        self.rebalancing_count += 1
        self.rebalancing_since = self.settings.clock.monotonic()

    async def rebalance_started(self, revoked: set[Any]) -> None:
        """Awaited by the consumer before it rejoins. aiokafka swallows a listener's error, so it ends here."""
        if self.failure is not None or self.should_stop:
            return
        try:
            await self.ownership.revoke()
            await self.on_partitions_revoked.send(revoked)
        except Exception as error:  # noqa: BLE001 - a half revoked member must not go on
            self.fail(error)

    async def rebalance_ended(self, assigned: set[Any], generation: int) -> None:
        """Awaited by the consumer, without heartbeats: returns at once, partitions open in the background."""
        if self.failure is not None or self.should_stop:
            return
        try:
            self.consumer_generation_id = generation
            await self.ownership.assign(assigned, generation)
            self.rebalancing = False
            self.settled_at = self.settings.clock.monotonic()
            self.rebalancing_since = None
            await self.on_partitions_assigned.send(assigned)
        except Exception as error:  # noqa: BLE001 - as above
            self.fail(error)

    def generation_in_thread(self) -> int:
        """In the consumer's thread: the generation that is being joined."""
        generation: int = self._thread.generation_here()
        return generation

    def follow_from_thread(self, partitions: frozenset[int]) -> None:
        """In the consumer's thread: the leader said whose copies this member keeps."""
        if self.settings.on_follow is not None:
            self.loop.call_soon_threadsafe(self.settings.on_follow, partitions)

    # --- Faust ----------------------------------------------------------------------------------------------------

    def _new_transport(self) -> LaneTransport:
        return LaneTransport(self.conf.broker_consumer, self)

    async def on_stop(self) -> None:
        """Drain, commit, close; then Faust stops fetcher and consumer, which leaves the group (unless it is static)."""
        leaves = self.failure is None and self.settings.leave_on_stop and not self._alone()
        await self.ownership.stop(failed=self.failure is not None)
        if leaves:
            await self._thread.across(self._thread.leave())
        await self.on_before_shutdown.send()

    def _alone(self) -> bool:
        """Nobody else is in the group: nobody could take over, and our place in it spares our return a rebalance."""
        count: int = self._thread.partition_count()
        return len(self.ownership.assigned()) >= count

    @property
    def _thread(self) -> Any:
        consumer: Any = self.consumer
        return consumer._thread

    async def _commit_marks(self, marks: Any) -> set[TopicPartition]:
        sent: set[TopicPartition] = await self._thread.across(self._thread.commit_marks(marks))
        return sent

    async def _flow(self, positions: Any) -> None:
        if self.settings.refuse_gaps:
            gap: str | None = await self._thread.across(self._thread.gap(positions))
            if gap is not None:
                raise Fatal(gap)
        await self._thread.across(self._thread.flow(positions))


def lane_app(settings: LaneSettings) -> LaneApp:
    """A Faust app for these settings, not started."""
    return LaneApp(settings)

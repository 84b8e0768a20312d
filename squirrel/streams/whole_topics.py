"""Several topics, all their partitions, read without a group from given positions on: for who must see everything alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from squirrel.model.errors import Fatal
from squirrel.streams.topic_pages import TopicPages

RECORDS_MAX: Final = 5_000  # of one reading
WAIT_MS: Final = 300


class Part(NamedTuple):
    """Records of one partition."""

    topic: str
    partition: int
    records: list[Any]


class WholeTopics:
    """`from_beginning` is read from its beginning where no position is given (a compacted one is its whole state), others from
    their end.
    """

    def __init__(self, brokers: str, topics: Sequence[str], *, from_beginning: str, client_id: str) -> None:
        self._brokers = brokers
        self._topics = tuple(topics)
        self._from_beginning = from_beginning
        self._client_id = client_id
        self._consumer: Any = None
        self._tps: list[TopicPartition] = []
        self._positions: dict[tuple[str, int], int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._pages = TopicPages(brokers, from_beginning, client_id=f"{client_id}-pages")

    async def start(self, positions: Mapping[tuple[str, int], int]) -> bool:
        """Connects and stands there. False: the topic that is read from its beginning no longer goes so far: all anew."""
        consumer = AIOKafkaConsumer(
            *self._topics,
            bootstrap_servers=self._brokers,
            client_id=self._client_id,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=200,
        )
        try:
            await consumer.start()
            consumer.unsubscribe()
            for topic in self._topics:
                partitions = consumer.partitions_for_topic(topic)
                if not partitions:
                    raise Fatal(f"{topic} does not exist; `squirrel topics apply` makes it")
                self._tps += [TopicPartition(topic, each) for each in sorted(partitions)]
            begins, ends = await consumer.beginning_offsets(self._tps), await consumer.end_offsets(self._tps)
            kept = dict(positions)
            fits = all(kept.get((tp.topic, tp.partition), 0) <= ends[tp] for tp in self._tps)
            if not fits:
                kept.clear()
            consumer.assign(self._tps)
            for tp in self._tps:
                first = begins[tp] if tp.topic == self._from_beginning else ends[tp]
                at = max(kept.get((tp.topic, tp.partition), first), begins[tp])
                consumer.seek(tp, at)
                self._positions[tp.topic, tp.partition] = at
            self._ends = dict(ends)
        except BaseException:
            await consumer.stop()
            raise
        self._consumer = consumer
        return fits

    async def stop(self) -> None:
        """Harmless when it was never started, and twice."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()
        await self._pages.stop()

    async def batches(self) -> list[Part]:
        """What came since, at most RECORDS_MAX; waits WAIT_MS for the first."""
        found = await self._consumer.getmany(timeout_ms=WAIT_MS, max_records=RECORDS_MAX)
        for tp in self._tps:
            self._positions[tp.topic, tp.partition] = await self._consumer.position(tp)
        return [Part(tp.topic, tp.partition, list(records)) for tp, records in found.items()]

    def positions(self) -> dict[tuple[str, int], int]:
        """Where reading stands."""
        return dict(self._positions)

    @property
    def caught_up(self) -> bool:
        """Whether all is read that the broker had when it last answered, partition by partition."""
        for tp in self._tps:
            end = self._consumer.highwater(tp)
            end = self._ends[tp] if end is None else max(end, self._ends[tp])
            if self._positions[tp.topic, tp.partition] < end:
                return False
        return True

    async def record(self, partition: int, offset: int) -> bytes | None:
        """The record at this place of the topic that is read from its beginning; None when it is gone."""
        return await self._pages.value_at(partition, offset)

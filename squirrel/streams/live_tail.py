"""Topics followed from their end, without a group: what happens from now on, for whoever watches. Nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer

RECORDS_MAX: Final = 500  # of one reading
WAIT_MS: Final = 1_000


class LiveTail:
    """Reads all partitions of some topics as of `start`."""

    def __init__(self, brokers: str, topics: Sequence[str], *, client_id: str) -> None:
        self._brokers = brokers
        self._topics = tuple(topics)
        self._client_id = client_id
        self._consumer: Any = None

    async def start(self) -> None:
        """Connects and stands at the end of every partition; waits for topics that are not there.

        Raises what the Kafka client raises.
        """
        consumer = AIOKafkaConsumer(
            *self._topics,
            bootstrap_servers=self._brokers,
            client_id=self._client_id,
            group_id=None,  # all partitions of all topics are this process's, and nobody else's
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_max_wait_ms=200,
        )
        try:
            await consumer.start()
            await consumer.seek_to_end()
        except BaseException:
            await consumer.stop()
            raise
        self._consumer = consumer

    async def records(self) -> list[tuple[str, bytes]]:
        """(topic, value) of what came since the last reading, at most RECORDS_MAX; waits up to a second for the first."""
        found = await self._consumer.getmany(timeout_ms=WAIT_MS, max_records=RECORDS_MAX)
        return [(tp.topic, record.value) for tp, batch in found.items() for record in batch if record.value]

    async def stop(self) -> None:
        """Harmless when it was never started, and twice."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

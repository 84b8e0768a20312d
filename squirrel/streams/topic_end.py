"""The end of one partition of a topic, read backwards page by page, without a group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiokafka import TopicPartition

from squirrel.model.errors import Fatal

PAGE_RECORDS: Final = 200  # of up to 256 KiB each
READ_RECORDS_MAX: Final = 20_000
READ_SECONDS_MAX: Final = 60.0
AT_ONCE_MAX: Final = 2  # partitions read at the same time: a takeover may bring many
WAIT_MS: Final = 1000

Take = Callable[[Sequence[bytes]], bool]


class TopicEnd:
    """`reader()` makes a consumer that is not started. One object per process; connects for the time of a reading."""

    def __init__(self, reader: Callable[[], Any]) -> None:
        self._reader = reader
        self._turn = asyncio.Semaphore(AT_ONCE_MAX)

    async def read_back(self, topic: str, partition: int, take: Take) -> None:
        """Hands over the newest page of values, then older ones while `take(page)` asks for one; each in the order of the log.

        Stops at the beginning, or after READ_RECORDS_MAX. Raises Fatal when Kafka does not let it read in time.
        """
        tp = TopicPartition(topic, partition)
        async with self._turn:
            consumer = self._reader()
            try:
                async with asyncio.timeout(READ_SECONDS_MAX):
                    await consumer.start()
                    await _read_back(consumer, tp, take)
            except TimeoutError as error:
                raise Fatal(f"the end of {topic}/{partition} could not be read in {READ_SECONDS_MAX:g} s") from error
            finally:
                await consumer.stop()


async def _read_back(consumer: Any, tp: TopicPartition, take: Take) -> None:
    consumer.assign([tp])
    begin = (await consumer.beginning_offsets([tp]))[tp]
    high = (await consumer.end_offsets([tp]))[tp]
    least = max(begin, high - READ_RECORDS_MAX)
    while high > least:
        low = max(least, high - PAGE_RECORDS)
        consumer.seek(tp, low)
        page: list[bytes] = []
        while await consumer.position(tp) < high:
            batch = (await consumer.getmany(tp, timeout_ms=WAIT_MS)).get(tp, ())
            page += [record.value or b"" for record in batch if record.offset < high]
        if not take(page):
            return
        high = low

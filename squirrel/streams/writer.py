"""The writer: whole lists of records to one partition, in order, acknowledged by every in-sync replica, or the process ends.

Our own idempotent producer and not Faust's: Faust's buffer sends record by record, its flush gives up after 0.1 s and a failed
send is only logged (reference faust.md, section 2). `create_batch`/`send_batch` make no future per record.
"""

# ruff: noqa: SLF001 - aiokafka's batch has no quicker public door to its encoder; pinned, and held by tests/system/streams

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced

from squirrel.model.errors import Fatal, SquirrelError
from squirrel.model.limits import KIB, RECORD_BYTES_MAX
from squirrel.streams.fence import Fence, take

BATCH_BYTES: Final = (
    512 * KIB
)  # one request to the broker; larger ones gained nothing and delay the first acknowledgement
RECORD_OVERHEAD_BYTES: Final = 128  # what Kafka adds to one record, batch header included
DELIVERY_SECONDS_DEFAULT: Final = 30.0

Headers = Sequence[tuple[str, bytes]]
Record = tuple[bytes, bytes | None, Headers]


class RecordTooLarge(SquirrelError):
    """A record that Kafka would refuse; nothing of its append was sent."""

    def __init__(self, topic: str, index: int, key: bytes, size: int, limit: int) -> None:
        super().__init__(
            f"record {index} for {topic} (key {key[:64]!r}) has {size} bytes, more than the {limit} a record may have"
        )
        self.index = index
        self.size = size


class BatchWriter:
    """One idempotent producer on the running loop, shared by everything that writes in this process."""

    def __init__(
        self,
        brokers: str,
        *,
        client_id: str,
        delivery_seconds: float = DELIVERY_SECONDS_DEFAULT,
        record_bytes_max: int = RECORD_BYTES_MAX,
        compression: str | None = None,
    ) -> None:
        """`brokers` is HOST:PORT, comma separated. `delivery_seconds`: how long an acknowledgement may take before Fatal.

        aiokafka's lz4 is fixed at level 9: 6 us a record and a fifth of the engine's time, for a third of the bytes. Who
        needs the space sets `compression.type` on the topic: then the broker does it.
        """
        self._settings: dict[str, Any] = {
            "bootstrap_servers": brokers,
            "client_id": client_id,
            "acks": "all",
            "enable_idempotence": True,
            "max_batch_size": BATCH_BYTES,
            "max_request_size": record_bytes_max + BATCH_BYTES,
            "compression_type": compression,
            "linger_ms": 0,
            "request_timeout_ms": int(delivery_seconds * 1000),
        }
        self._delivery_seconds = delivery_seconds
        self._record_bytes_max = record_bytes_max
        self._producer: Any = None
        self._locks: dict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._fences: dict[tuple[str, int], Fence] = {}
        self.records_written = 0

    async def start(self) -> None:
        """Connects; raises KafkaError when no broker answers."""
        producer = AIOKafkaProducer(**self._settings)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Sends what was appended and closes; harmless when it was never started, and twice."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def take_over(self, topic: str, partition: int, records: Sequence[Record]) -> int:
        """Appends `records`, and from the last of them on nobody who took this partition over before can append to it.

        Answers that record's offset: what stands before it is all there is. Nothing of ours may be on its way there meanwhile.
        Raises Fatal like `append`.
        """
        if self._producer is None:
            raise Fatal(f"taking over {topic}/{partition} before the writer was started or after it was stopped")
        try:
            async with asyncio.timeout(self._delivery_seconds):
                self._fences[topic, partition] = await take(self._producer.client, f"{topic}/{partition}")
        except TimeoutError as error:
            raise Fatal(
                f"{topic}/{partition}: Kafka did not let us take it over in {self._delivery_seconds:g} s"
            ) from error
        return await self.append(topic, partition, records)

    async def append(self, topic: str, partition: int, records: Sequence[Record]) -> int:
        """Writes records in order to one partition and waits until all are acknowledged.

        Each is (key, value or None for a tombstone, headers or ()). Answers the offset of the last one; -1 for no records.
        Appends to one partition keep the order in which they were called; those to different ones run side by side.
        Raises RecordTooLarge before anything was sent, Fatal when the broker did not acknowledge: some of it may be in the log.
        """
        if not records:
            return -1
        if self._producer is None:
            raise Fatal(f"append to {topic} before the writer was started or after it was stopped")
        batches = self._batches(topic, records)
        fence = self._fences.get((topic, partition))
        if fence is not None:
            for batch in batches:
                fence.put_on(batch)
        try:
            async with asyncio.timeout(self._delivery_seconds):
                async with self._locks[topic, partition]:
                    sent = [await self._producer.send_batch(batch, topic, partition=partition) for batch in batches]
                acknowledged = await asyncio.gather(*sent)
        except TimeoutError as error:
            raise Fatal(
                f"{topic}/{partition}: Kafka did not acknowledge {len(records)} records in {self._delivery_seconds:g} s"
            ) from error
        except (ProducerFenced, InvalidProducerEpoch) as error:
            raise Fatal(
                f"{topic}/{partition} has another owner by now: Kafka refused {len(records)} records of this one"
            ) from error
        except (KafkaError, AssertionError) as error:
            raise Fatal(f"{topic}/{partition}: Kafka refused {len(records)} records: {error!r}") from error
        self.records_written += len(records)
        last: int = acknowledged[-1].offset + batches[-1].record_count() - 1
        return last

    def _batches(self, topic: str, records: Sequence[Record]) -> list[Any]:
        """Closed batches of at most BATCH_BYTES (a larger record gets its own); built whole before the first is sent."""
        create = self._producer.create_batch
        limit = self._record_bytes_max - RECORD_OVERHEAD_BYTES
        no_headers: list[tuple[str, bytes]] = []
        batch = create()
        out = [batch]
        # The encoder itself: aiokafka's method around it takes as long again, and only counts.
        append = batch._builder.append
        count = 0
        for index, (key, value, given) in enumerate(records):
            size = len(key) + (0 if value is None else len(value))
            headers = no_headers
            if given:
                headers = list(given)
                size += sum([len(name) + len(content) for name, content in headers])
            if size > limit:
                raise RecordTooLarge(topic, index, key, size, limit)
            if append(count, None, key, value, headers) is None:  # the batch is full
                _close(batch, count)
                batch = create()
                out.append(batch)
                append = batch._builder.append
                count = 0
                append(0, None, key, value, headers)
            count += 1
        _close(batch, count)
        return out


def _close(batch: Any, count: int) -> None:
    batch._relative_offset = count
    batch.close()

"""Completions straight from Kafka: every final outcome, in order per schedule, without asking the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from squirrel.client.patterns import matches
from squirrel.client.records import Completion

TOPIC: Final = "squirrel.completions"
POLL_MS: Final = 1000  # how long one fetch may wait for something to come
BATCH_RECORDS_MAX: Final = 500  # between two commits: what a crash may bring again
_decode: Final = msgspec.json.Decoder(Completion).decode


async def completions(
    kafka: str,
    *,
    group: str | None = None,
    topic: str = TOPIC,
    namespace: str | None = None,
    event: str = "*",
    from_start: bool = False,
) -> AsyncIterator[Completion]:
    """Yields completions as they are written; `kafka` is HOST:PORT, `topic` has the installation's prefix in front.

    With a `group` several consumers share the work and a restart goes on where the last one stood: positions are
    committed after every batch of up to 500, so what was worked on since comes again after a crash. Without a group it starts
    now, or at the oldest that Kafka keeps with `from_start`. `namespace` and `event` (a pattern, as in routes) choose.
    Raises aiokafka's errors when Kafka cannot be reached, msgspec's when a record is no completion.
    """
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest" if from_start or group else "latest",
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        while True:
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS_MAX)
            for record in (record for batch in batches.values() for record in batch):
                completion = _decode(record.value)
                if (namespace is None or completion.namespace == namespace) and matches(event, completion.event):
                    yield completion
            if group is not None and batches:
                await consumer.commit()
    finally:
        await consumer.stop()

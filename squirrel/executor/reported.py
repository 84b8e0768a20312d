"""Which attempts were reported behind the last commit: a crash must repeat only calls that were in flight.

Offsets are committed a few times a second, results are acknowledged all the time. Each commit says how far the results of its
partition had come; what stands behind that was called and must not be called again although no commit says so.
"""

from __future__ import annotations

from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from squirrel.model.limits import REPEATS_REMEMBERED_MAX

WAIT_MS: Final = 1000


class ReportedAttempts:
    """Reads the results topic, without a group. One per process; connects for the time of a reading."""

    def __init__(self, brokers: str, topic: str, client_id: str) -> None:
        self._brokers = brokers
        self._topic = topic
        self._client_id = client_id

    async def since(self, partition: int, offset: int) -> list[str]:
        """The `ce_id`s (`run/number`) of the results at `offset` and behind, up to the end of now; the newest when too many."""
        tp = TopicPartition(self._topic, partition)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._brokers,
            client_id=self._client_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            begin = max(offset, (await consumer.beginning_offsets([tp]))[tp], end - REPEATS_REMEMBERED_MAX // 2)
            consumer.seek(tp, begin)
            found: list[str] = []
            while begin < end:
                records = (await consumer.getmany(tp, timeout_ms=WAIT_MS)).get(tp, ())
                found += [_attempt_of(record.headers) for record in records if record.offset < end]
                begin = await consumer.position(tp)
            return found
        finally:
            await consumer.stop()


def _attempt_of(headers: Any) -> str:
    return next((value.decode("utf-8", "replace") for name, value in headers if name == "ce_id"), "")

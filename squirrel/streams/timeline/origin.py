"""Whose copy a local store is: which partition, of which changelog in which Kafka cluster, and of which life of that changelog.

It stands in the store's C row. A directory that was copied from another partition or another installation is noticed and rebuilt;
a changelog that was deleted and made anew, and has grown past the local offset since, is known by its id.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Self

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from squirrel.streams.timeline.keys import MARKER_KEY

FIRST_RECORD_TRIES_MAX: Final = 20  # of a second each; an answer takes milliseconds
LAYOUT: Final = "2"  # of the local keys (`timeline/keys.py`); a copy of another layout is rebuilt from the changelog
_BETWEEN: Final = "\0"


class Origin(NamedTuple):
    """`cluster` is Kafka's own id; `log_id` stands in the changelog's first record, and is empty where that is not known."""

    partition: int
    cluster: str
    changelog: str
    log_id: str

    def encode(self) -> bytes:
        return _BETWEEN.join((LAYOUT, str(self.partition), self.cluster, self.changelog, self.log_id)).encode()

    @classmethod
    def decode(cls, value: bytes) -> Self | None:
        """None for a store that does not say: one of an older release, or an empty one."""
        layout, *parts = value.decode("utf-8", "replace").split(_BETWEEN)
        if layout != LAYOUT or len(parts) != len(cls._fields) or not parts[0].isdigit():
            return None
        return cls(int(parts[0]), *parts[1:])

    def why_foreign(self, held: Self | None) -> str | None:
        """Why a store that says `held` is no copy of this partition, or None. The log's id is not looked at."""
        if held is None:
            return "local state does not say whose copy it is, or is laid out as an older release did"
        if held.partition != self.partition:
            return f"local state is a copy of partition {held.partition}"
        if (held.cluster, held.changelog) != (self.cluster, self.changelog):
            return f"local state is a copy of {held.changelog} in the Kafka cluster {held.cluster}"
        return None

    def is_another_life(self, held: Self) -> bool:
        """The changelog was deleted and made anew since `held`. What has no id says nothing."""
        return "" not in (held.log_id, self.log_id) and held.log_id != self.log_id


async def cluster_id(brokers: str, client_id: str) -> str:
    """Kafka's id of the cluster. Raises KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers, client_id=client_id)
    try:
        await admin.start()
        described: dict[str, Any] = await admin.describe_cluster()
    finally:
        await admin.close()
    return str(described["cluster_id"])


async def log_id_of(consumer: Any, tp: TopicPartition, first: int, end: int) -> str:
    """The id in the changelog's first record; empty when that is not a marker (the log's head was deleted)."""
    if first >= end:
        return ""
    consumer.seek(tp, first)
    for _ in range(FIRST_RECORD_TRIES_MAX):
        records = (await consumer.getmany(tp, timeout_ms=1000, max_records=1)).get(tp, ())
        if records:
            value = records[0].value or b""
            return value.decode("utf-8", "replace") if records[0].key == MARKER_KEY else ""
        if await consumer.position(tp) >= end:
            return ""
    return ""

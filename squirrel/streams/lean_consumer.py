"""aiokafka's consumer without its record wrapper: what a fetch hands over are the decoder's own records.

aiokafka makes a `ConsumerRecord` of eleven fields for every record, in Python: 2 us of the 3.4 that a bare `getmany` loop takes.
The lanes and the recovery read offset, key, value, headers and timestamp, all of which the decoder's record has; topic and
partition are those of the list it stands in. Checked against aiokafka 0.14 (pinned): `PartitionRecords._unpack_records`.
"""

# ruff: noqa: SLF001 - aiokafka's fetcher has no public door

from __future__ import annotations

from collections.abc import Iterator
from inspect import GEN_CREATED, getgeneratorstate
from typing import Any, Final
from weakref import proxy

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException

_STOCK: Final = PartitionRecords._unpack_records.__code__


class LeanConsumer(AIOKafkaConsumer):
    """As aiokafka's; records have offset, timestamp, key, value and headers, and nothing else. Transactions are not filtered."""

    async def start(self) -> None:
        """As aiokafka's. The first fetch may still hand over full records: they have the same fields."""
        await super().start()
        fetcher = self._fetcher
        stock = fetcher._proc_fetch_request

        async def lean(*request: Any) -> Any:
            answer = await stock(*request)
            for found in fetcher._records.values():
                if type(found) is FetchResult and found.has_more():
                    _unwrap(found._partition_records)
            return answer

        fetcher._proc_fetch_request = lean

    async def stop(self) -> None:
        """As aiokafka's, and what was fetched ahead is gone at once: the collector comes by once in a million objects."""
        await super().stop()
        if self._fetcher is not None:
            self._fetcher._records.clear()


def _unwrap(records: Any) -> None:
    """Replace the iterator of a fetched partition that nobody reads yet; one that was replaced stays."""
    stock = records._records_iterator
    if stock is not None and stock.gi_code is _STOCK and getgeneratorstate(stock) == GEN_CREATED:
        # By proxy: a generator that holds what holds it would keep megabytes that were fetched and never read (a rebalance, a
        # seek, a stop) until the collector comes.
        records._records_iterator = _bare(proxy(records))


def _bare(records: Any) -> Iterator[Any]:
    """What `_unpack_records` yields, unwrapped: holes and control batches are passed over, a damaged batch is an error."""
    batches = records._records
    while batches.has_next():
        batch = batches.next_batch()
        if records._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {records._tp}")
        if not batch.is_control_batch:
            for record in batch:
                # A compressed batch is answered whole, also when the fetch began in its middle.
                if record.offset >= records.next_fetch_offset:
                    records.next_fetch_offset = record.offset + 1
                    yield record
        # The last offset of a batch stays although compaction took its record: without this the same batch comes again.
        records.next_fetch_offset = batch.next_offset

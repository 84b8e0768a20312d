"""The way to Kafka that outlives its producer: a writer that failed is replaced, and callers hear 503 meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from squirrel.model.clock import Clock
from squirrel.model.errors import Unavailable

Record = tuple[bytes, bytes | None, Sequence[tuple[str, bytes]]]  # key, value (None is a tombstone), headers

RESTART_SECONDS_MIN: Final = 1.0  # between two attempts to begin a new writer
log = logging.getLogger(__name__)


class Writer(Protocol):
    """One producer; after an append that raised it is used no more."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def append(self, topic: str, partition: int, records: Sequence[Record]) -> int:
        """The offset of the last record, acknowledged; the records of one append are contiguous."""
        ...


class KafkaWriter:
    """Appends through the writer of the day. `append` raises Unavailable while Kafka cannot be reached."""

    def __init__(self, new_writer: Callable[[], Writer], clock: Clock, start_seconds: float = 5.0) -> None:
        self._new_writer = new_writer
        self._clock = clock
        self._start_seconds = start_seconds
        self._writer: Writer | None = None
        self._lock = asyncio.Lock()
        self._next_start_at = float("-inf")
        self._ends: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def connected(self) -> bool:
        """Whether the last thing heard from Kafka was good."""
        return self._writer is not None

    async def append(self, topic: str, partition: int, records: Sequence[Record]) -> int:
        """As `Writer.append`. Raises Unavailable: what was appended may be stored or not."""
        writer = self._writer or await self.start()
        try:
            return await writer.append(topic, partition, records)
        except Exception as error:
            self._discard(writer)
            raise Unavailable(
                f"Kafka did not acknowledge the write ({type(error).__name__}); send it again", 2
            ) from error

    async def start(self) -> Writer:
        """Connects, once however many ask. Raises Unavailable."""
        async with self._lock:
            if self._writer is not None:
                return self._writer
            if self._closed or self._clock.monotonic() < self._next_start_at:
                raise Unavailable("Kafka cannot be reached; send again", 2)
            writer = self._new_writer()
            try:
                async with asyncio.timeout(self._start_seconds):
                    await writer.start()
            except Exception as error:
                self._next_start_at = self._clock.monotonic() + RESTART_SECONDS_MIN
                log.warning("Kafka cannot be reached: %s", error)
                raise Unavailable("Kafka cannot be reached; send again", 2) from error
            self._writer = writer
            return writer

    def _discard(self, writer: Writer) -> None:
        if self._writer is writer:
            log.warning("a write to Kafka failed; a new producer takes over")
            self._writer = None
            task = asyncio.get_running_loop().create_task(_end(writer))
            self._ends.add(task)
            task.add_done_callback(self._ends.discard)

    async def close(self) -> None:
        """Ends the writer; nothing is appended afterwards."""
        self._closed = True
        writer, self._writer = self._writer, None
        if writer is not None:
            await _end(writer)
        if self._ends:
            await asyncio.wait(tuple(self._ends), timeout=self._start_seconds)


async def _end(writer: Writer) -> None:
    try:
        await writer.stop()
    except Exception:
        log.exception("a writer did not end cleanly")

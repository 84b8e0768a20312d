"""Standby copies: this member keeps the state of some partitions that others own, a few seconds behind their owners.

A takeover then replays seconds of the changelog instead of all of it. The group's leader says who follows what (`assignor.py`). A
copy is no more than a local store that is kept young: whoever takes the partition over recovers it as any other, with every
check, from the offset that its own C row names. So a copy cannot have a hole that nobody notices, and needs no trust.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from aiokafka.errors import KafkaError

from squirrel.streams.timeline.recovery import Recovery
from squirrel.streams.timeline.store import TimelineStore

FOLLOW_SECONDS: Final = 2.0  # between two rounds over all copies: what a takeover has to replay

Lifecycle = Callable[[int], asyncio.Lock]
Told = Callable[[list[int]], None]


class Standby:
    """Keeps the copies that `follow` named. Main loop only."""

    def __init__(
        self,
        recovery: Recovery,
        store: TimelineStore,
        owned: Callable[[int], bool],
        lifecycle: Lifecycle,
        fail: Callable[[BaseException], None],
        complete: Told = lambda partitions: None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """`owned(partition)`: it is this member's own, or about to be. `lifecycle(partition)`: held while it opens or closes.

        `complete(partitions)` is told once after each change, when the copies of these are near their owners. While `busy()`, a
        recovery of our own say, copies wait.
        """
        self._recovery = recovery
        self._store = store
        self._owned = owned
        self._lifecycle = lifecycle
        self._fail = fail
        self._complete = complete
        self._busy = busy
        self._told: list[int] = []
        self.behind: dict[int, int] = {}  # copy -> records it lacked when it was last looked after
        self._followed: frozenset[int] = frozenset()
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def follow(self, partitions: Iterable[int]) -> None:
        """From now on these and no others."""
        self._followed = frozenset(partitions)
        self._changed.set()

    def followed(self) -> list[int]:
        """Partitions with a copy here, those of this member left out."""
        return sorted(number for number in self._followed if not self._owned(number))

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="standby")

    async def stop(self) -> None:
        """Harmless when it was never started, and twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        try:
            while True:
                with suppress(KafkaError, OSError):  # Kafka is away: owners see to that, copies wait
                    await self._round()
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(FOLLOW_SECONDS):
                        await self._changed.wait()
        except Exception as error:  # noqa: BLE001 - a changelog that was emptied, a disk that is full: as for an owner
            self._fail(error)

    async def _round(self) -> None:
        for number in self._store.partitions():
            if number not in self._followed:
                await self._drop(number)
        wanted = self.followed()
        self.behind = {number: self.behind[number] for number in wanted if number in self.behind}
        if not wanted or self._busy():
            return
        consumer = self._recovery.reader()
        try:
            await consumer.start()
            for number in wanted:
                await self._catch_up(consumer, number)
        finally:
            await consumer.stop()
        if wanted == self.followed() and wanted != self._told and not self._busy():
            self._told = wanted
            self._complete(wanted)

    async def _catch_up(self, consumer: Any, number: int) -> None:
        async with self._lifecycle(number):
            if not self._waits(number) and number in self._followed:
                self.behind[number] = await self._recovery.catch_up(consumer, number, lambda: self._waits(number))

    def _waits(self, number: int) -> bool:
        return self._owned(number) or self._busy()

    async def _drop(self, number: int) -> None:
        async with self._lifecycle(number):
            if not self._owned(number) and number not in self._followed:
                self._store.close(number)

"""The partitions of this member, through every rebalance.

aiokafka knows eager rebalances only: each one revokes everything and gives most of it straight back. A partition that comes back
in the very next generation was nobody else's in between, so its state stays open (`on_retained`). When a generation was missed
(a stall, a failed sync) somebody else may have had it: then it is lost and assigned anew. Nothing here blocks the group:
partitions open in the background and flow one by one as each is ready.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from squirrel.streams.lanes import REVOKE_SECONDS_MAX, LaneSettings, TopicPartition
from squirrel.streams.offsets import Offsets
from squirrel.streams.worker import Fetching, PartitionWorker

Flow = Callable[[Mapping[TopicPartition, int | None]], Awaitable[None]]


class _Holding:
    """One partition number that is, or was just now, this member's. `ready`: its state is open and complete."""

    __slots__ = ("opening", "ready", "worker")

    def __init__(self, worker: PartitionWorker) -> None:
        self.worker = worker
        self.ready = False
        self.opening: asyncio.Task[None] | None = None


class Ownership:
    """Drives workers and the service's `PartitionOwner` from the group's revocations and assignments. Main loop only."""

    def __init__(
        self,
        settings: LaneSettings,
        offsets: Offsets,
        fail: Callable[[BaseException], None],
        fetching: Callable[[], Fetching],
        flow: Flow,
    ) -> None:
        """`fetching()` and `flow` reach the consumer, which does not exist yet when this is made."""
        self._settings = settings
        self._offsets = offsets
        self._fail = fail
        self._fetching = fetching
        self._flow = flow
        self._holdings: dict[int, _Holding] = {}
        self._locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)  # one lifecycle call per partition at a time
        self._revoking = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self.generation = -1
        self.active = False  # between an assignment and the next revocation
        self.opened_at: float = settings.clock.monotonic()  # the last time a partition became ready

    def assigned(self) -> list[int]:
        """Partitions of this member, ready or not; empty while the group rebalances."""
        return sorted(self._holdings) if self.active else []

    def holds(self, number: int) -> bool:
        """It is this member's, opening or closing its doors included."""
        return number in self._holdings

    def lifecycle(self, number: int) -> asyncio.Lock:
        """Held while the partition is opened or closed."""
        return self._locks[number]

    def ready(self) -> list[int]:
        """Partitions whose records flow."""
        return sorted(n for n, holding in self._holdings.items() if holding.ready) if self.active else []

    def workers(self) -> list[PartitionWorker]:
        return [holding.worker for holding in list(self._holdings.values())]  # the watchdog asks from its thread

    def deliver(self, generation: int, records: Mapping[Any, list[Any]]) -> None:
        """Records of one fetch. Those of an earlier generation are dropped: positions start anew with each."""
        if not self.active or generation != self.generation:
            return
        for tp, batch in records.items():
            holding = self._holdings.get(tp.partition)
            if holding is not None and batch:
                holding.worker.take_in(tp.topic, batch)

    async def revoke(self) -> None:
        """Everything is revoked: finish what lanes have, tell the owner, commit. Returns when the group may go on."""
        self.active = False
        async with self._revoking:  # a stop may meet a rebalance: nobody goes on before lanes have finished
            await self._revoke()

    async def _revoke(self) -> None:
        deadline = self._settings.clock.monotonic() + REVOKE_SECONDS_MAX
        async with asyncio.TaskGroup() as group:
            for number, holding in list(self._holdings.items()):
                group.create_task(self._quiet(number, holding))
        await self._offsets.commit_last(max(deadline - self._settings.clock.monotonic(), 1.0))

    async def assign(self, tps: Iterable[Any], generation: int) -> None:
        """The group settled: keep, open and let go in the background."""
        topics: dict[int, list[str]] = defaultdict(list)
        for tp in tps:
            topics[tp.partition].append(tp.topic)
        follows = generation == self.generation + 1
        self.generation = generation
        self.opened_at = self._settings.clock.monotonic()
        former, self._holdings = self._holdings, {}
        for number, holding in former.items():
            kept = follows and holding.ready and sorted(topics.get(number, ())) == holding.worker.topics
            if kept:
                holding.worker.replaying = True
                self._holdings[number] = holding
                self._begin(number, holding, self._retain(number, holding, generation))
            else:
                self._offsets.forget(number)
                self._let_go(number)
        self._offsets.open()
        self.active = True
        for number in sorted(topics.keys() - self._holdings.keys()):
            worker = PartitionWorker(number, topics[number], self._settings, self._offsets, self._fetching())
            holding = _Holding(worker)
            self._holdings[number] = holding
            self._begin(number, holding, self._open(number, holding, generation))

    async def stop(self, *, failed: bool) -> None:
        """The process ends: drain, commit, close; after a failure only close."""
        if not failed:
            await self.revoke()
        for number in list(self._holdings):
            self._let_go(number)
        self._holdings = {}
        if self._leaving:
            await asyncio.wait(self._leaving)

    def abandon(self) -> None:
        """Something failed: nothing more is handed out, nothing is opened."""
        self.active = False
        for holding in self._holdings.values():
            holding.worker.halt()
            if holding.opening is not None and not holding.ready:
                holding.opening.cancel()

    async def _quiet(self, number: int, holding: _Holding) -> None:
        if holding.opening is not None and not holding.opening.done():
            if not holding.ready:
                holding.opening.cancel()  # a recovery may take minutes, and goes on from where it stopped
            await asyncio.wait({holding.opening})
        await holding.worker.drain()
        if holding.ready and self._settings.owner is not None:
            async with self._locks[number]:
                await self._settings.owner.on_revoked(number)

    def _begin(self, number: int, holding: _Holding, work: Any) -> None:
        holding.opening = asyncio.get_running_loop().create_task(work, name=f"open-{number}")

    async def _open(self, number: int, holding: _Holding, epoch: int) -> None:
        try:
            async with self._locks[number]:
                if self._settings.owner is not None:
                    await self._settings.owner.on_assigned(number, epoch)
                holding.ready = True
            await self._go(holding)
        except Exception as error:  # noqa: BLE001 - one that cannot be opened must not stay silently dark
            self._fail(error)

    async def _retain(self, number: int, holding: _Holding, epoch: int) -> None:
        try:
            async with self._locks[number]:
                if self._settings.owner is not None:
                    await self._settings.owner.on_retained(number, epoch)
            await self._go(holding)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    async def _go(self, holding: _Holding) -> None:
        await self._flow(holding.worker.positions())
        holding.worker.replaying = False
        holding.worker.start(self._fail)
        self.opened_at = self._settings.clock.monotonic()

    def _let_go(self, number: int) -> None:
        task = asyncio.get_running_loop().create_task(self._lose(number), name=f"lose-{number}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _lose(self, number: int) -> None:
        try:
            async with self._locks[number]:
                if self._settings.owner is not None:
                    await self._settings.owner.on_lost(number)
        except Exception as error:  # noqa: BLE001 - state that cannot be closed would be opened twice
            self._fail(error)

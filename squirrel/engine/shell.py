"""The engine of one process: the partitions it owns, their lanes and firing loops, and the answers to gateways."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from squirrel.engine.adoption import LastGivenUp, LastStep
from squirrel.engine.firing import fire_while_active
from squirrel.engine.owner import Owner
from squirrel.engine.parts import EngineParts
from squirrel.engine.queries import answer_all, calendar_users
from squirrel.wire.owner_link import decode_asks, encode_answers
from squirrel.wire.owner_mark import OwnerMark, encode_owner_mark
from squirrel.wire.public import decode_result
from squirrel.wire.records import encode_command

Recover = Callable[[int], Awaitable[int | None]]
Crash = Callable[[BaseException], None]
ReadBack = Callable[[str, int, Callable[[Sequence[bytes]], bool]], Awaitable[None]]


async def _nothing(topic: str, partition: int, take: Callable[[Sequence[bytes]], bool]) -> None:
    """A log without a past."""


class Engine:
    """Implements the partition lifecycle and the lanes that `streams/` calls.

    `recover` brings the local store of a partition up to the end of its changelog and answers the owner's epoch (None: the
    group's generation is the epoch); `crash` ends the process with the reason; `read_back` hands over a partition of a
    topic from the end backwards, as `streams/topic_end.py` does.
    """

    def __init__(self, parts: EngineParts, recover: Recover, crash: Crash, read_back: ReadBack = _nothing) -> None:
        self.parts = parts
        self.owners: dict[int, Owner] = {}
        self._recover = recover
        self._read_back = read_back
        self._crash = crash
        self._loops: dict[int, asyncio.Task[None]] = {}
        self._epochs: dict[int, int] = {}  # by partition; one that comes straight back keeps its own

    async def on_assigned(self, partition: int, epoch: int) -> None:
        """Open and recover the partition, then own it. Records flow to its lanes only after this returned."""
        taken = await self._recover(partition)
        self._epochs[partition] = epoch if taken is None else taken
        owner = self._owner(partition, self._epochs[partition])
        await self._adopt(owner)
        self._own(owner)

    async def on_retained(self, partition: int, epoch: int) -> None:
        """The partition came back to us in a rebalance: its store is open and complete, and nobody took it over."""
        self._own(self._owner(partition, max(epoch, self._epochs.get(partition, epoch))))

    async def on_revoked(self, partition: int) -> None:
        """Stop firing the partition; what is in flight to Kafka is finished first."""
        owner = self.owners.pop(partition, None)
        if owner is None:
            return
        owner.leave()
        async with owner.lock:
            pass
        loop = self._loops.pop(partition)
        await asyncio.wait({loop})

    async def on_lost(self, partition: int) -> None:
        """The partition went to another member, or the process is ending: its store is closed."""
        owner = self.owners.pop(partition, None)
        if owner is not None:  # no revocation came first: the process has failed, and the loop must not touch the store
            owner.leave()
            self._loops.pop(partition).cancel()
        self.parts.store.close(partition)

    def _owner(self, partition: int, epoch: int) -> Owner:
        owner = Owner(self.parts, partition, epoch)
        owner.recount_flows()
        return owner

    async def _adopt(self, owner: Owner) -> None:
        """A former owner's process may have ended between emitting and logging: its orders are called, and no row says so.

        The mark comes first: what a former owner still has on its way stands in front of it and is read here, or behind and is
        dropped.
        """
        topics, number = self.parts.topics, owner.partition
        mark = encode_owner_mark(OwnerMark(owner.epoch, self.parts.clock.now_ms()))
        await self.parts.writer.append(topics.executions, number, [(b"", mark, ())])
        last, given_up = LastStep(), LastGivenUp()
        await self._read_back(topics.executions, number, last.take)
        await self._read_back(topics.completions, number, given_up.take)
        attempts = await owner.adopt(last.orders) if last.orders else 0
        rows = await owner.adopt_given_up(given_up.completions) if given_up.completions else 0
        if attempts or rows:
            self.parts.log.info(
                "adopted what a former owner had said", partition=number, attempts=attempts, given_up=rows
            )

    def _own(self, owner: Owner) -> None:
        self.owners[owner.partition] = owner
        loop = asyncio.get_running_loop().create_task(fire_while_active(owner), name=f"fire-{owner.partition}")
        loop.add_done_callback(self._loop_ended)
        self._loops[owner.partition] = loop

    def _loop_ended(self, loop: asyncio.Task[None]) -> None:
        if not loop.cancelled() and (error := loop.exception()) is not None:
            self._crash(error)

    async def take_commands(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        """The lane of the commands topic."""
        await self.owners[partition].take_commands(records)

    async def take_results(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        """The lane of the results topic."""
        await self.owners[partition].take_results(records, decode_result)

    async def calendar_changed(self, namespace: str, name: str) -> None:
        """Re-plan the pending slots of every schedule here that excludes the days of this calendar."""
        for partition in list(self.owners):
            for order in await calendar_users(self.parts, partition, namespace, name):
                record = (order.id.encode(), encode_command(order), ())
                await self.parts.writer.append(self.parts.topics.commands, partition, [record])

    async def answer(self, body: bytes) -> bytes:
        """One POST of a gateway: msgpack asks in, msgpack answers out. Raises ValueError for a body that is none."""
        return encode_answers(await answer_all(self.parts, self.owners, decode_asks(body)))

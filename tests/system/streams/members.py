"""Members of a group, and a log of what happened to them, for the tests of the seams to Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from squirrel.runtime.clock import SystemClock
from squirrel.streams.app import LaneApp, lane_app
from squirrel.streams.lanes import LaneSettings
from squirrel.streams.topics_admin import TopicDescription, TopicsAdmin
from squirrel.streams.writer import BatchWriter
from tests.eventually import eventually

PARTITIONS = 4
SESSION_SECONDS = 6.0  # the least a broker takes by default
Inside = Callable[[str, int, Sequence[Any]], Awaitable[None]]


class Ledger:
    """What lanes and owners saw, over all members: the promises of `streams/` are checked here."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, int, int, bytes]] = []  # member, topic, partition, offset, value
        self.calls: list[tuple[str, str, int, int]] = []  # member, callback, partition, epoch or -1
        self.open: dict[int, str] = {}  # partition -> the member that may process it
        self.inside: set[int] = set()
        self.broken: list[str] = []

    def values(self) -> list[bytes]:
        return [value for *_, value in self.seen]

    def named(self, member: str, callback: str) -> list[int]:
        return sorted(partition for who, what, partition, _ in self.calls if (who, what) == (member, callback))


class Member:
    """One member: writes what it does to the ledger. `inside` runs within a lane, `opening` within `on_assigned`."""

    def __init__(self, name: str, ledger: Ledger) -> None:
        self.name = name
        self.ledger = ledger
        self.inside: Inside | None = None
        self.opening: Callable[[int], Awaitable[None]] | None = None
        self.fatal: list[BaseException] = []
        self.app: LaneApp

    async def on_assigned(self, partition: int, epoch: int) -> None:
        self.ledger.calls.append((self.name, "assigned", partition, epoch))
        if self.opening is not None:
            await self.opening(partition)
        self._open(partition)

    async def on_retained(self, partition: int, epoch: int) -> None:
        self.ledger.calls.append((self.name, "retained", partition, epoch))
        self._open(partition)

    async def on_revoked(self, partition: int) -> None:
        self.ledger.calls.append((self.name, "revoked", partition, -1))
        if partition in self.ledger.inside:
            self.ledger.broken.append(f"{partition} was revoked while a lane had its records")
        self.ledger.open.pop(partition, None)

    async def on_lost(self, partition: int) -> None:
        self.ledger.calls.append((self.name, "lost", partition, -1))

    async def lane(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        if self.ledger.open.get(partition) != self.name:
            self.ledger.broken.append(
                f"{self.name} got records of {partition}, owned by {self.ledger.open.get(partition)}"
            )
        if partition in self.ledger.inside:
            self.ledger.broken.append(f"two lanes at once for {partition}")
        self.ledger.inside.add(partition)
        try:
            if self.inside is not None:
                await self.inside(topic, partition, records)
            self.ledger.seen.extend((self.name, topic, partition, each.offset, each.value) for each in records)
        finally:
            self.ledger.inside.discard(partition)

    def _open(self, partition: int) -> None:
        if partition in self.ledger.open:
            self.ledger.broken.append(f"{self.name} opened {partition} while {self.ledger.open[partition]} had it")
        self.ledger.open[partition] = self.name

    async def ready(self, *partitions: int) -> None:
        await eventually(lambda: self.app.ready() == sorted(partitions), 20, f"{self.name} ready with {partitions}")


class World:
    """Two topics of one group on a real broker."""

    def __init__(self, kafka: str, prefix: str, folder: Path) -> None:
        self.kafka = kafka
        self.group = f"{prefix}group"
        self.topics = [f"{prefix}commands", f"{prefix}results"]
        self.folder = folder
        self.ledger = Ledger()
        self.clock = SystemClock()

    async def create(self, partitions: int = PARTITIONS) -> None:
        async with TopicsAdmin(self.kafka) as admin:
            await admin.apply([TopicDescription(topic, partitions, 1) for topic in self.topics])

    def member(self, name: str, **changes: Any) -> Member:
        """A member that is not started."""
        member = Member(name, self.ledger)
        settings: dict[str, Any] = {
            "group": self.group,
            "brokers": self.kafka,
            "client_id": name,
            "lanes": dict.fromkeys(self.topics, member.lane),
            "datadir": self.folder / name,
            "clock": self.clock,
            "on_fatal": member.fatal.append,
            "owner": member,
            "url": f"http://{name}",
            "session_seconds": SESSION_SECONDS,
            "commit_seconds": 0.1,
        }
        member.app = lane_app(LaneSettings(**settings | changes))
        return member

    @asynccontextmanager
    async def running(self, *members: Member) -> AsyncIterator[BatchWriter]:
        """Starts members in order and stops them; gives a writer."""
        async with BatchWriter(self.kafka, client_id="test") as writer:
            try:
                for member in members:
                    await member.app.start()
                yield writer
            finally:
                for member in members:
                    await member.app.stop()

    async def fill(self, writer: BatchWriter, first: int, count: int) -> list[bytes]:
        """`count` numbered records over all partitions of both topics; their values."""
        values = [b"%08d" % number for number in range(first, first + count)]
        places = [(topic, partition) for topic in self.topics for partition in range(PARTITIONS)]
        shares = [values[place :: len(places)] for place in range(len(places))]
        await asyncio.gather(
            *(
                writer.append(topic, partition, [(b"k", value, ()) for value in share])
                for (topic, partition), share in zip(places, shares, strict=True)
            )
        )
        return values

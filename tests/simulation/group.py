"""The twin of a group's coordinator: eager rebalances, generations, static members, sessions, fenced commits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import Context
from typing import Any

from aiokafka.errors import CommitFailedError

from squirrel.streams.lanes import Committed, TopicPartition
from tests.simulation.loop import pause

REBALANCE_SECONDS = 30.0  # a member that does not join again within it is left out
HEARTBEAT_SECONDS = 2.0
SESSION_SECONDS = 10.0


class Group:
    """One consumer group at the broker. Members are `MemberApp`s, known by their instance id."""

    def __init__(self, world: Any, name: str) -> None:
        self.world = world
        self.name = name
        self.generation = 0
        self.settled_generation = 0  # when everybody had come at the beginning
        self.members: dict[str, Any] = {}  # instance id -> the app that joined last
        self.beats: dict[str, float] = {}
        self.assigned: dict[str, frozenset[int]] = {}
        self.follows: dict[str, set[int]] = {}
        self.moved_ms = 0  # when partitions last changed hands, or a member came back
        self.committed: dict[TopicPartition, Committed] = {}
        self._rebalancing: asyncio.Task[None] | None = None
        self._wanted = False
        asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._hear, context=Context())

    # --- members ----------------------------------------------------------------------------------------------------

    def join(self, app: Any) -> None:
        """A process comes (back). One that returns within its session gets what it had, without a rebalance."""
        name = app.instance_id
        returns = name in self.members and name in self.assigned and self._rebalancing is None
        self.members[name] = app
        self.beats[name] = asyncio.get_running_loop().time()
        if returns:
            self.world.count("static_return")
            self._give(app, name)
        else:
            self.rebalance()

    def leave(self, app: Any) -> None:
        """Gone for good: its session is over, or it said so."""
        if self.members.get(app.instance_id) is app:
            del self.members[app.instance_id]
            self.assigned.pop(app.instance_id, None)
            self.rebalance()

    def knows(self, app: Any) -> bool:
        return self.members.get(app.instance_id) is app

    def _hear(self) -> None:
        """Heartbeats, as the coordinator sees them. Nobody's session ends while the broker itself is away."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        broker = self.world.broker
        for name, app in list(self.members.items()):
            process = app.process
            silent = process.dead or process.stopped_at is not None or process.cut_since is not None
            if broker.away or not silent:
                self.beats[name] = now
                if not broker.away:
                    app.heard()
            elif now - max(self.beats[name], broker.back_at) > SESSION_SECONDS:
                self.world.count("session_expired")
                self.leave(app)
        for app in self.world.strangers(self):
            app.expelled()
        loop.call_later(HEARTBEAT_SECONDS / 4, self._hear, context=Context())

    # --- rebalances -------------------------------------------------------------------------------------------------

    def rebalance(self) -> None:
        self._wanted = True
        if self._rebalancing is None:
            self._rebalancing = asyncio.get_running_loop().create_task(self._rebalance(), context=Context())

    @property
    def settled(self) -> bool:
        return self._rebalancing is None

    async def _rebalance(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                await pause(self.world.latency())
                if self.members:
                    await self._gather()
                self.generation += 1
                self._share()
                for name, app in list(self.members.items()):
                    self._give(app, name)
        finally:
            self._rebalancing = None

    async def _gather(self) -> None:
        """Every member gives up what it has and joins again; who does not within the time is left out."""
        deadline = asyncio.get_running_loop().time() + REBALANCE_SECONDS
        joined: set[Any] = set()
        asked: set[Any] = set()
        while True:
            waiting = [app for app in self.members.values() if app not in joined]
            if not waiting:
                break
            if asyncio.get_running_loop().time() > deadline:
                for app in waiting:
                    self.members.pop(app.instance_id)
                    self.assigned.pop(app.instance_id, None)
                break
            for app in waiting:
                if app not in asked:
                    asked.add(app)
                    app.revoke(lambda app=app: joined.add(app))
            await pause(0.02)
        self._wanted = False  # whoever came meanwhile is among them

    def _share(self) -> None:
        """Balanced to within one, former owners first, as `streams/assignor.py`."""
        names = sorted(self.members)
        numbers = list(range(self.world.partitions))
        former = {number: name for name, held in self.assigned.items() for number in held}
        self.assigned = {}
        if not names:
            return
        most, rest = divmod(len(numbers), len(names))
        room = {name: most + (place < rest) for place, name in enumerate(names)}
        shares: dict[str, set[int]] = {name: set() for name in names}
        free = []
        for number in numbers:
            name = former.get(number)
            if name in room and room[name] > 0:
                shares[name].add(number)
                room[name] -= 1
            else:
                free.append(number)
        for number in free:
            name = next(name for name in names if room[name] > 0)
            shares[name].add(number)
            room[name] -= 1
        self.assigned = {name: frozenset(share) for name, share in shares.items()}
        # Copies: each partition's next member keeps one, as the leader says in `streams/assignor.py`.
        self.follows = {name: shares[names[place - 1]] - shares[name] for place, name in enumerate(names)}

    def _give(self, app: Any, name: str) -> None:
        self.moved_ms = self.world.wall_ms()
        given = self.assigned[name], frozenset(self.follows.get(name, ())), self.generation
        asyncio.get_running_loop().call_later(self.world.latency(), app.given, *given, context=Context())

    # --- offsets ----------------------------------------------------------------------------------------------------

    def commit(self, app: Any, generation: int, marks: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """At the broker. Raises CommitFailedError for a member of another generation."""
        if not self.knows(app) or generation != self.generation:
            self.world.count("stale_commit_refused")
            raise CommitFailedError
        for tp, (offset, metadata) in marks.items():
            self.committed[tp] = Committed(offset, metadata)

    def committed_of(self, tps: list[TopicPartition]) -> dict[TopicPartition, Committed]:
        return {tp: self.committed.get(tp, Committed(None, "")) for tp in tps}

"""Asking the owners: every call's question travels with the others that wait, in one POST per owner.

At most a few POSTs per owner are under way; what arrives meanwhile goes with the next. An owner that cannot be reached, or that
says the partition is not its own, makes the map of owners be read again (not more often than the limit below) and the question
be put once more; after that the caller gets `Undecided` or `Unavailable` and decides what it tells its user.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

import aiohttp
import msgspec

from squirrel.model.clock import Clock
from squirrel.model.errors import Unavailable
from squirrel.wire.owner_link import (
    PATH,
    Answer,
    Ask,
    Await,
    GetStats,
    NotMine,
    Owns,
    Undecided,
    decode_answers,
    encode_asks,
)

POSTS_PER_LANE_MAX: Final = 4
ASKS_PER_POST_MAX: Final = 2_000  # two full batches
ASKS_WAITING_MAX: Final = 50_000  # per lane; more than all requests that may be under way
REFRESH_SECONDS_MIN: Final = 1.0  # a rebalance takes seconds: asking faster only loads the brokers
CONNECT_SECONDS_MAX: Final = 2.0
ANSWER_MARGIN_SECONDS: Final = 2.0  # beyond what the owner was asked to wait
ANSWER_BYTES_MAX: Final = 512 * 1024 * 1024


class Directory(Protocol):
    """Who owns which partition of the commands topic."""

    async def owners(self) -> Mapping[int, str]:
        """{partition: base URL of its owner}; partitions without an owner are missing. Raises Unavailable."""
        ...


class _Asked:
    """One caller's asks, and where the answers to all of them go."""

    __slots__ = ("answers", "asks")

    def __init__(self, asks: Sequence[Ask], answers: asyncio.Future[list[Answer]]) -> None:
        self.asks = asks
        self.answers = answers


class _Lane:
    """What waits for one owner, and the POSTs under way to it. Reads have a lane of their own: outcomes may take long."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.waiting: deque[_Asked] = deque()
        self.asks = 0  # in `waiting`
        self.posts: set[asyncio.Task[None]] = set()
        self.beginning = False


class OwnerUnreachable(Unavailable):
    """The owner did not answer; the map of owners may be old."""


class OwnerLink:
    """Questions to owners. Start with `start`, stop with `close`; both may be called twice."""

    def __init__(
        self, directory: Directory, clock: Clock, token: str, answer_seconds: float = 5.0, partitions: int = 1
    ) -> None:
        self._partitions = partitions
        self._directory = directory
        self._clock = clock
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/msgpack"}
        self.answer_seconds = answer_seconds
        self._session: aiohttp.ClientSession | None = None
        self._map: Mapping[int, str] = {}
        self._lanes: dict[tuple[str, bool], _Lane] = {}  # by owner, and whether it is for outcomes
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = float("-inf")

    async def start(self) -> None:
        """Opens the connections' pool; the map is read when first needed."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(
                    total=self.answer_seconds + ANSWER_MARGIN_SECONDS, sock_connect=CONNECT_SECONDS_MAX
                ),
                trust_env=False,
                auto_decompress=False,
            )

    async def close(self) -> None:
        session, self._session = self._session, None
        tasks = [task for lane in self._lanes.values() for task in lane.posts]
        tasks += [self._refreshing] if self._refreshing is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for lane in self._lanes.values():
            _fail(lane.waiting, Unavailable("the gateway is stopping; send again", 2))
        self._lanes.clear()
        if session is not None:
            await session.close()

    @property
    def known_partitions(self) -> int:
        """How many partitions had an owner when the map was last read."""
        return len(self._map)

    async def ask(self, partition: int, ask: Ask) -> Answer:
        """The owner's answer about one partition; `Undecided` when its time was up. Raises Unavailable without an owner."""
        return (await self.ask_many(partition, [ask]))[0]

    async def ask_many(self, partition: int, asks: Sequence[Ask]) -> list[Answer]:
        """The answers to several asks about one partition, in order; asked again once when the map was old."""
        answers: list[Answer] | None = None
        with suppress(OwnerUnreachable):
            answers = await self._put(await self._owner_of(partition), asks)
        if answers is not None and not any(isinstance(each, NotMine) for each in answers):
            return answers
        await self.refresh()
        again = await self._put(await self._owner_of(partition), asks)
        return [Undecided() if isinstance(each, NotMine) else each for each in again]

    async def ask_all(self, ask: Ask) -> list[Answer]:
        """One answer of each owner. Raises Unavailable when a partition has none: a part of a list is no list."""
        try:
            return await self._put_all(ask)
        except OwnerUnreachable:
            await self.refresh()
            return await self._put_all(ask)

    async def _put_all(self, ask: Ask) -> list[Answer]:
        if not self._map:
            await self.refresh()
        of_owner: dict[str, list[int]] = {}
        for partition, url in sorted(self._map.items()):
            of_owner.setdefault(url, []).append(partition)
        if not of_owner:
            raise Unavailable("no engine owns a partition now; send again", 2)
        if isinstance(ask, GetStats):  # a part of the counters is better than none
            found = await asyncio.gather(*(self._put(url, [ask]) for url in of_owner))
            return [each for answers in found for each in answers]
        if len(self._map) < self._partitions:
            raise OwnerUnreachable("a partition has no engine now; send again", 2)
        found = await asyncio.gather(*(self._put_around(url, ask, tuple(owned)) for url, owned in of_owner.items()))
        return [each for answers in found for each in answers]

    async def _put_around(self, url: str, ask: Ask, partitions: tuple[int, ...]) -> list[Answer]:
        """The answer of an owner that had all these partitions before it and after it."""
        owns = Owns(partitions)
        before, answer, after = await self._put(url, [owns, ask, owns])
        if any(isinstance(each, NotMine) for each in (before, answer, after)):
            raise OwnerUnreachable("an engine is taking over partitions; send again", 2)
        return [answer]

    async def refresh(self) -> None:
        """Reads the map of owners anew; callers at the same time share one reading, and readings keep their distance."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())
        await asyncio.shield(self._refreshing)

    async def _refresh(self) -> None:
        await asyncio.sleep(max(0.0, self._refreshed_at + REFRESH_SECONDS_MIN - self._clock.monotonic()))
        try:
            async with asyncio.timeout(self.answer_seconds):
                self._map = dict(await self._directory.owners())
        except TimeoutError:
            raise Unavailable("Kafka does not say who owns the partitions; send again", 2) from None
        finally:
            self._refreshed_at = self._clock.monotonic()
        urls = set(self._map.values())
        for key, lane in list(self._lanes.items()):
            if key[0] not in urls and not lane.posts and not lane.waiting:
                del self._lanes[key]

    async def _owner_of(self, partition: int) -> str:
        if partition not in self._map:
            await self.refresh()
        try:
            return self._map[partition]
        except KeyError:
            raise Unavailable("no engine owns this schedule's partition now; send again", 2) from None

    async def _put(self, url: str, asks: Sequence[Ask]) -> list[Answer]:
        key = (url, isinstance(asks[0], Await))
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(url)
        if lane.asks + len(asks) > ASKS_WAITING_MAX:
            raise Unavailable("more questions wait for the engine than this gateway holds; send again", 1)
        asked = _Asked(asks, asyncio.get_running_loop().create_future())
        lane.waiting.append(asked)
        lane.asks += len(asks)
        self._start(lane)
        return await asked.answers

    def _start(self, lane: _Lane) -> None:
        if lane.waiting and not lane.beginning and len(lane.posts) < POSTS_PER_LANE_MAX:
            lane.beginning = True
            task = asyncio.get_running_loop().create_task(self._post(lane))
            lane.posts.add(task)
            task.add_done_callback(lambda done: self._posted(lane, done))

    def _posted(self, lane: _Lane, task: asyncio.Task[None]) -> None:
        lane.posts.discard(task)
        self._start(lane)

    async def _post(self, lane: _Lane) -> None:
        lane.beginning = False
        taken: list[_Asked] = []
        asks: list[Ask] = []
        while lane.waiting and len(asks) < ASKS_PER_POST_MAX:
            asked = lane.waiting.popleft()
            lane.asks -= len(asked.asks)
            if not asked.answers.done():
                taken.append(asked)
                asks.extend(asked.asks)
        self._start(lane)
        if not taken:
            return
        try:
            answers = decode_answers(await self._exchange(lane.url, encode_asks(asks)))
            if len(answers) != len(asks):
                raise OwnerUnreachable(f"the owner answered {len(answers)} of {len(asks)} questions", 1)
        except asyncio.CancelledError:
            _fail(taken, Unavailable("the gateway is stopping; send again", 2))
            raise
        except TimeoutError:
            _late(taken)
        except (aiohttp.ClientError, OSError, msgspec.MsgspecError, Unavailable) as error:
            _fail(taken, OwnerUnreachable(f"the owner of this schedule cannot be reached ({type(error).__name__})", 2))
        else:
            _hand_out(taken, answers)

    async def _exchange(self, url: str, body: bytes) -> bytes:
        if self._session is None:
            raise OwnerUnreachable("the gateway is stopping; send again", 2)
        async with self._session.post(url.rstrip("/") + PATH, data=body, headers=self._headers) as response:
            if response.status != 200 or (response.content_length or 0) > ANSWER_BYTES_MAX:
                raise OwnerUnreachable(f"the owner answered {response.status}", 2)
            return await response.read()


def _hand_out(taken: Sequence[_Asked], answers: list[Answer]) -> None:
    start = 0
    for asked in taken:
        end = start + len(asked.asks)
        if not asked.answers.done():
            asked.answers.set_result(answers[start:end])
        start = end


def _late(taken: Sequence[_Asked]) -> None:
    """No answer in time. Of a command that is no failure: it stands in Kafka, and what is late is only the news of it."""
    for asked in taken:
        if not asked.answers.done() and isinstance(asked.asks[0], Await):
            asked.answers.set_result([Undecided()] * len(asked.asks))
    _fail(taken, OwnerUnreachable("the owner of this schedule did not answer in time; send again", 2))


def _fail(taken: Sequence[_Asked] | deque[_Asked], error: Exception) -> None:
    for asked in taken:
        if not asked.answers.done():
            asked.answers.set_exception(error)

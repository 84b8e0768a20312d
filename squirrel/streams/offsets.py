"""Committed offsets: what is done is marked, marks are committed every interval, before a rebalance and on stop.

Never beyond a mark. A commit that fails because the group moved on is dropped: whoever has the partition now reads those
records again. Any other refusal is fatal; being unable to reach Kafka is waited out (aiokafka retries).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from squirrel.model.errors import Fatal
from squirrel.streams.lanes import TopicPartition

Commit = Callable[[Mapping[TopicPartition, tuple[int, str]]], Awaitable[set[TopicPartition]]]
Fail = Callable[[BaseException], None]


class Offsets:
    """Marks of the partitions this member owns. `commit` sends them and answers which were still assigned."""

    def __init__(self, commit: Commit, fail: Fail, interval_seconds: float) -> None:
        self._commit = commit
        self._fail = fail
        self._interval_seconds = interval_seconds
        self._marks: dict[TopicPartition, tuple[int, str]] = {}
        self._sent: dict[TopicPartition, tuple[int, str]] = {}
        self._made: dict[TopicPartition, int] = {}  # marks made and marks committed, counted: see `commit_now`
        self._taken: dict[TopicPartition, int] = {}
        self._open = False
        self._sending = asyncio.Lock()

    def mark(self, topic: str, partition: int, next_offset: int, metadata: str = "") -> None:
        """Everything below `next_offset` is done; a mark never goes back. The metadata rides in the commit (4 KiB at most)."""
        tp = TopicPartition(topic, partition)
        held = self._marks.get(tp)
        if held is None or held[0] <= next_offset:
            self._marks[tp] = (next_offset, metadata)
            self._made[tp] = self._made.get(tp, 0) + 1

    def marked(self, topic: str, partition: int) -> tuple[int, str] | None:
        """The newest mark, committed or not."""
        return self._marks.get(TopicPartition(topic, partition))

    def forget(self, partition: int) -> None:
        """The partition is not ours any more: its marks must never be committed in a later generation."""
        for known in (self._marks, self._sent, self._made, self._taken):
            for tp in [tp for tp in known if tp.partition == partition]:
                del known[tp]

    def open(self) -> None:
        """From now on commits are sent: the group has settled."""
        self._open = True

    def close(self) -> None:
        """From now on nothing is committed: the group moves, or the process has failed."""
        self._open = False

    async def commit(self) -> None:
        """Commits every mark that is not committed yet."""
        async with self._sending:
            due = {tp: mark for tp, mark in self._marks.items() if self._sent.get(tp) != mark}
            made = dict(self._made)
            if not self._open:
                return
            if not due:
                self._taken = made
                return
            try:
                sent = await self._commit(due)
            except (CommitFailedError, IllegalStateError):
                return  # the group moved on; a retained partition's marks are sent again in the new generation
            except KafkaError as error:
                self._fail(Fatal(f"Kafka refused to commit {sorted(due)}: {error!r}"))
                return
            self._sent.update({tp: due[tp] for tp in sent})
            self._taken.update({tp: made[tp] for tp in sent})

    async def commit_now(self, topic: str, partition: int) -> bool:
        """Commits at once; whether Kafka has what was marked for that partition until now. False: the group moves."""
        tp = TopicPartition(topic, partition)
        wanted = self._made.get(tp)
        await self.commit()
        return wanted is not None and self._taken.get(tp, 0) >= wanted

    async def commit_last(self, deadline_seconds: float) -> None:
        """The last commit before partitions may go: within the deadline or not at all; then closed."""
        try:
            async with asyncio.timeout(deadline_seconds):
                await self.commit()
        except TimeoutError:
            pass  # Kafka is away; what was not committed is repeated with the same ids
        finally:
            self._open = False

    async def commit_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._interval_seconds)
            await self.commit()

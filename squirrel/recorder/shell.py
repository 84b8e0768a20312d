"""The recorder's lane: many partitions hand in their records, one writer puts them into the history, in batches.

While one write is under way the next batch gathers from all partitions, so the batch grows with the load and a quiet system
writes at once. `process` returns when its records are durable; only then does the lane commit their offsets. An outage is
waited out, with the same records and for ever: consumers stop by themselves, firing never notices.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct

from squirrel.model.clock import Clock
from squirrel.model.limits import HISTORY_BATCH_MAX, MIB
from squirrel.recorder.step import Item, Kind, Poison, Received, batch_of, poisoned, read
from squirrel.stores.history import History, HistoryRejects, HistoryUnavailable

HISTORY_BATCH_BYTES_MAX: Final = 8 * MIB  # a write must end within the store's deadline, whatever the bodies weigh
OUTAGE_BATCH_MIN: Final = 50  # a slow store gets smaller batches, but no dribble
RETRY_SECONDS_FIRST: Final = 0.1
RETRY_SECONDS_MAX: Final = 5.0
PRUNE_SECONDS: Final = 60.0

Refuse = Callable[[Poison], Awaitable[None]]
log = logging.getLogger(__name__)


class RecorderState(Struct, frozen=True):
    """How the recorder is doing, for readyz and metrics. Instants are epoch ms."""

    ready: bool  # the last write worked, or none was tried yet
    last_error: str
    failing_since_ms: int | None
    pending_records: int
    lag_ms: int  # age of the oldest record that is not written
    written_total: int
    refused_total: int
    failures_total: int
    pruned_total: int


class _Claim:
    """The records of one `process` call; `written` of them are durable."""

    def __init__(self, items: list[Item], done: asyncio.Future[None]) -> None:
        self.items = items
        self.written = 0
        self.done = done


class RecorderLane:
    """Give `process` to the lanes of results, completions and dead letters. `kinds`: topic name -> what it holds.

    `refuse` gets every record that can never be written; it is awaited before `process` returns.
    """

    def __init__(
        self,
        history: History,
        kinds: Mapping[str, Kind],
        refuse: Refuse,
        clock: Clock,
        prune_seconds: float = PRUNE_SECONDS,
    ) -> None:
        self._history = history
        self._kinds = dict(kinds)
        self._refuse = refuse
        self._clock = clock
        self._prune_seconds = prune_seconds
        self._claims: deque[_Claim] = deque()
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._batch_most = HISTORY_BATCH_MAX
        self._pause_seconds = RETRY_SECONDS_FIRST
        self._last_error = ""
        self._failing_since_ms: int | None = None
        self._written = self._refused = self._failures = self._pruned = 0

    async def start(self) -> None:
        """Begins to write and to prune. The store need not be there yet."""
        self._tasks = [
            asyncio.create_task(self._write_forever(), name="recorder-writer"),
            asyncio.create_task(self._prune_forever(), name="recorder-pruner"),
        ]

    async def stop(self) -> None:
        """Ends both; `process` calls still waiting are cancelled, so their offsets stay where they were."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for claim in self._claims:
            claim.done.cancel()
        self._claims.clear()

    async def process(self, topic: str, partition: int, records: Sequence[Received]) -> None:
        """Returns when all records are durable or refused. Raises what ended the writer, for the process to end with it."""
        kind = self._kinds.get(topic)
        if kind is None:
            raise KeyError(f"{topic} is none of the recorder's topics {sorted(self._kinds)}")
        items, poison = read(records, kind)
        for each in poison:
            await self._set_aside(each)
        if not items:
            return
        if not self._tasks or self._tasks[0].done():
            raise RuntimeError("the recorder's writer is not running")
        claim = _Claim(items, asyncio.get_running_loop().create_future())
        self._claims.append(claim)
        self._work.set()
        await claim.done

    @property
    def state(self) -> RecorderState:
        """As of now."""
        waiting = [claim for claim in self._claims if not claim.done.done()]
        oldest_ms = min((claim.items[claim.written].received.timestamp for claim in waiting), default=None)
        return RecorderState(
            ready=self._failing_since_ms is None,
            last_error=self._last_error,
            failing_since_ms=self._failing_since_ms,
            pending_records=sum(len(claim.items) - claim.written for claim in waiting),
            lag_ms=0 if oldest_ms is None else max(0, self._clock.now_ms() - oldest_ms),
            written_total=self._written,
            refused_total=self._refused,
            failures_total=self._failures,
            pruned_total=self._pruned,
        )

    async def _write_forever(self) -> None:
        try:
            while True:
                await self._work.wait()
                portion = self._portion()
                if portion:
                    await self._write(portion)
                else:
                    self._work.clear()
        except BaseException as error:
            for claim in self._claims:
                if not claim.done.done():
                    if isinstance(error, Exception):
                        claim.done.set_exception(error)
                    else:
                        claim.done.cancel()
            raise

    def _portion(self) -> list[Item]:
        """The oldest items, up to a batch. Nobody else takes from the left, so `_settle` finds them there again."""
        while self._claims and self._claims[0].done.done():
            self._claims.popleft()
        portion: list[Item] = []
        size = 0
        for claim in self._claims:
            if claim.done.done():  # its partition was taken away meanwhile: whoever owns it now writes it
                continue
            for item in claim.items[claim.written : claim.written + self._batch_most - len(portion)]:
                size += item.size
                if portion and size > HISTORY_BATCH_BYTES_MAX:
                    return portion
                portion.append(item)
            if len(portion) >= self._batch_most:
                break
        return portion

    async def _write(self, portion: list[Item]) -> None:
        try:
            await self._history.write(batch_of(portion))
        except HistoryUnavailable as error:
            self._failed(error)
            self._batch_most = min(self._batch_most, max(OUTAGE_BATCH_MIN, len(portion) // 2))
            await asyncio.sleep(self._pause_seconds)
            self._pause_seconds = min(self._pause_seconds * 2, RETRY_SECONDS_MAX)
        except HistoryRejects as error:
            if len(portion) == 1:
                await self._set_aside(poisoned(portion[0].received, "", str(error)))
                self._settle(portion)
            else:
                self._batch_most = len(portion) // 2  # halved until the one that is meant stands alone
        else:
            self._written += len(portion)
            self._settle(portion)
            self._recovered()

    def _settle(self, portion: list[Item]) -> None:
        """Moves the claims on by what is done with; the items of a claim are settled in their order."""
        settled = {id(item) for item in portion}
        for claim in self._claims:
            while claim.written < len(claim.items) and id(claim.items[claim.written]) in settled:
                claim.written += 1
            if claim.written == len(claim.items) and not claim.done.done():
                claim.done.set_result(None)

    async def _set_aside(self, poison: Poison) -> None:
        log.warning(
            "refused %s[%d]@%d: %s", poison.topic, poison.partition, poison.offset, poison.reason or poison.field
        )
        await self._refuse(poison)
        self._refused += 1

    def _failed(self, error: HistoryUnavailable) -> None:
        self._failures += 1
        self._last_error = str(error)
        if self._failing_since_ms is None:
            self._failing_since_ms = self._clock.now_ms()
            log.warning("history unavailable, %d records wait: %s", self.state.pending_records, error)

    def _recovered(self) -> None:
        if self._failing_since_ms is not None:
            seconds = (self._clock.now_ms() - self._failing_since_ms) / 1000
            log.warning("history is back after %.1f s, %d records wait", seconds, self.state.pending_records)
        self._failing_since_ms = None
        self._pause_seconds = RETRY_SECONDS_FIRST
        self._batch_most = min(self._batch_most * 2, HISTORY_BATCH_MAX)

    async def _prune_forever(self) -> None:
        while True:
            await asyncio.sleep(self._prune_seconds)
            with suppress(HistoryUnavailable):  # the writer says so, and pruning has time
                self._pruned += await self._history.prune(self._clock.now_ms())

"""One operation from where it stands to its end: counted, then worked through newest first, at its pace, in chunks.

Before a chunk is sent its place and instant are written down; who takes the operation over sends that chunk again, and what
exists is not made twice. An engine, a history or a Kafka that is away is waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Literal, TypeVar

from msgspec.structs import replace

from squirrel.gateway.sweep_items import Item, Items, Outcome, SweepParts, page_of_items, work_on
from squirrel.gateway.sweep_log import SweepLog
from squirrel.model.errors import Unavailable
from squirrel.wire.operations import StoredOperation

CHUNK_SECONDS: Final = 0.5  # of the pace: how much is sent again at worst when a gateway ends
CHUNK_ITEMS_MAX: Final = 200
AT_ONCE_MAX: Final = 32  # of a chunk, on their way together
COUNT_PAGE_ITEMS: Final = 500
COUNT_ITEMS_MAX: Final = 100_000  # counting more would cost more than knowing is worth; the work itself has no limit
BEAT_SECONDS: Final = 3.0  # between two signs of life, whatever the pace
RETRY_SECONDS_FIRST: Final = 0.5
RETRY_SECONDS_MAX: Final = 10.0
ERRORS_KEPT_MAX: Final = 20  # examples; the rest is counted
LOOK_SECONDS: Final = 0.25  # between two looks at whether it was cancelled
T = TypeVar("T")
log = logging.getLogger(__name__)


class _Lost(Exception):
    """Another gateway works on it now."""


class _Cancelled(Exception):
    """Somebody wants no more of it."""


async def count(parts: SweepParts, operation: StoredOperation, items_max: int = COUNT_ITEMS_MAX) -> tuple[int, bool]:
    """(how many match, whether these are all)."""
    found, cursor = 0, None
    while True:
        page = await page_of_items(parts, operation, COUNT_PAGE_ITEMS, cursor)
        found += len(page.items)
        if page.cursor is None:
            return found, True
        if found >= items_max:
            return found, False
        cursor = page.cursor


class SweepWork:
    """Works on one operation that this gateway has claimed."""

    def __init__(self, parts: SweepParts, kept: SweepLog, operation: StoredOperation) -> None:
        self._parts = parts
        self._kept = kept
        self._operation = operation  # as it is
        self._saved = operation  # as the topic has it
        self._turn = asyncio.Lock()
        self._pace_at = 0.0

    async def run(self) -> None:
        """Returns when it is over, cancelled, or in another's hands. A cancelled task hands it over at once."""
        beating = asyncio.ensure_future(self._beat())
        try:
            await self._run()
        except _Lost:
            log.info("the operation %s is another gateway's now", self._operation.id)
        except _Cancelled:
            await self._end("cancelled")
        except asyncio.CancelledError:
            await self._release()
            raise
        except Exception as error:
            log.exception("the operation %s ended with a fault of ours", self._operation.id)
            await self._end("failed", f"the fault is ours and is in the gateway's log ({type(error).__name__})")
        finally:
            beating.cancel()
            await asyncio.wait({beating})

    async def _run(self) -> None:
        if self._operation.phase == "counting":
            matched, is_all = await self._patiently(self._counted)
            await self._save(phase="working", matched=matched, matched_all=is_all)
        again = self._operation.chunk_ms != 0
        self._pace_at = self._parts.clock.monotonic()
        while True:
            self._check()
            page = await self._patiently(self._page)
            if page.items:
                if not again:
                    await self._save(chunk_ms=self._parts.clock.now_ms())
                self._note(page.items, await self._sent(page.items, again=again))
            again = False
            if page.cursor is None:
                break
            self._operation = replace(self._operation, cursor=page.cursor, chunk_ms=0)
            await self._pause(len(page.items) / self._operation.rate_per_second)
        await self._end("succeeded")

    async def _counted(self) -> tuple[int, bool]:
        return await count(self._parts, self._operation)

    async def _page(self) -> Items:
        wanted = max(1, min(CHUNK_ITEMS_MAX, round(self._operation.rate_per_second * CHUNK_SECONDS)))
        return await page_of_items(self._parts, self._operation, wanted, self._operation.cursor)

    async def _sent(self, items: list[Item], *, again: bool) -> list[Outcome]:
        turn = asyncio.Semaphore(AT_ONCE_MAX)

        async def one(item: Item) -> Outcome:
            tried = again

            async def attempt() -> Outcome:
                nonlocal tried
                before, tried = tried, True  # after an error it may be done, and only its answer lost
                return await work_on(self._parts, self._operation, item, again=before)

            async with turn:
                return await self._patiently(attempt)

        tasks = [asyncio.ensure_future(one(item)) for item in items]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    def _note(self, items: list[Item], outcomes: list[Outcome]) -> None:
        now = self._operation
        counts = {name: getattr(now, name) for name in ("done", "failed", "skipped")}
        errors = list(now.errors)
        for item, (outcome, reason) in zip(items, outcomes, strict=True):
            counts[outcome] += 1
            if outcome != "done" and len(errors) < ERRORS_KEPT_MAX:
                errors.append({"id": item.run, "outcome": outcome, "reason": reason})
        self._operation = replace(now, **counts, errors=errors, matched=max(now.matched, sum(counts.values())))

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` gives; tried again for as long as a part that it needs is away."""
        pause = RETRY_SECONDS_FIRST
        while True:
            try:
                return await attempt()
            except Unavailable as error:
                log.warning("the operation %s waits: %s", self._operation.id, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_SECONDS_MAX)
                self._check()

    async def _pause(self, seconds: float) -> None:
        """Keeps the pace from chunk to chunk; a slow chunk is not made up for."""
        clock = self._parts.clock
        self._pace_at = max(self._pace_at + seconds, clock.monotonic())
        while (left := self._pace_at - clock.monotonic()) > 0:
            await asyncio.sleep(min(left, LOOK_SECONDS))
            self._check()

    async def _beat(self) -> None:
        """Signs of life, also while a slow part is waited for."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            with suppress(Unavailable):
                async with self._turn:
                    if self._is_ours():
                        self._saved = await self._kept.save(self._saved)

    async def _save(self, **changes: Any) -> None:
        self._check()
        await self._write(replace(self._operation, **changes))

    async def _end(self, state: Literal["cancelled", "failed", "succeeded"], problem: str = "") -> None:
        if not self._is_ours():
            return
        now_ms = self._parts.clock.now_ms()
        await self._write(replace(self._operation, state=state, problem=problem, finished_ms=now_ms, chunk_ms=0))
        await self._kept.forget_cancel(self._operation)

    async def _write(self, operation: StoredOperation) -> None:
        async def attempt() -> None:
            async with self._turn:
                changed = replace(operation, beats=max(operation.beats, self._saved.beats))
                self._operation = self._saved = await self._kept.save(changed)

        await self._patiently(attempt)

    def _check(self) -> None:
        if not self._is_ours():
            raise _Lost
        if self._kept.is_cancelled(self._operation):
            raise _Cancelled

    def _is_ours(self) -> bool:
        now = self._kept.get(self._operation.namespace, self._operation.id)
        return now is not None and now.owner == self._kept.gateway and now.state == "running"

    async def _release(self) -> None:
        """Another gateway, or this one after its restart, need not wait until it is missed."""
        with suppress(Unavailable):
            async with self._turn:
                if self._is_ours():
                    await self._kept.save(replace(self._saved, owner=""))

"""What became of the newest commands of a partition, for gateways that wait; bounded, in memory, lost with the process.

A gateway that finds nothing here reads the schedule instead: the outcome is a convenience, the row is the truth.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from squirrel.model.limits import OUTCOMES_BYTES_KEPT_MAX, OUTCOMES_KEPT_MAX
from squirrel.wire.owner_link import Decided


class Outcomes:
    """Outcomes by command offset, and those who wait for offsets that are not applied yet."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Decided] = OrderedDict()
        self._kept_bytes = 0  # of the rows in them
        self._applied = -1
        self._waiting: dict[int, list[asyncio.Future[Decided | None]]] = {}

    def applied(self, up_to_offset: int, decided: dict[int, Decided]) -> None:
        """All commands up to the offset are durable; wakes whoever waits for one of them."""
        kept = self._kept
        for offset in decided.keys() & kept.keys():  # offsets were set back
            self._kept_bytes -= len(kept.pop(offset).row or b"")
        kept.update(decided)
        self._kept_bytes += sum([len(each.row) for each in decided.values() if each.row])
        while len(kept) > OUTCOMES_KEPT_MAX or self._kept_bytes > OUTCOMES_BYTES_KEPT_MAX:
            self._kept_bytes -= len(kept.popitem(last=False)[1].row or b"")
        self._applied = max(self._applied, up_to_offset)
        if self._waiting:
            for offset in [offset for offset in self._waiting if offset <= self._applied]:
                for future in self._waiting.pop(offset):
                    if not future.done():
                        future.set_result(self._kept.get(offset))

    def kept(self, offset: int) -> Decided | None:
        """The outcome of a command, if it is applied and remembered."""
        return self._kept.get(offset)

    async def of(self, offset: int, timeout_seconds: float) -> Decided | None:
        """The outcome of one command; None when the time is up or it is not remembered."""
        if offset <= self._applied:
            return self._kept.get(offset)
        future: asyncio.Future[Decided | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(offset, []).append(future)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await future
        except TimeoutError:
            return None

    def give_up(self) -> None:
        """The partition is leaving: whoever waits asks its next owner."""
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_result(None)
        self._waiting.clear()

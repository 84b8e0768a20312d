"""What the executor knows of one partition it owns: offsets, attempts seen, and the calls that were begun."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from msgspec import Struct

from squirrel.executor.finished import Finished, decode
from squirrel.executor.repeats import Repeats
from squirrel.wire.records import Execution

RESULTS_MARK: Final = "~"  # between the offset that the results had reached and the finished set
EPOCH_MARK: Final = (
    "."  # between that offset, the newest epoch heard below the committed one and the second of the newest order
)


class Call(Struct, eq=False):
    """One execution between its record and its acknowledged result."""

    partition: Partition
    offset: int
    execution: Execution
    host: str
    summary: dict[str, Any]
    size_bytes: int
    picked_up_ms: int


class Resumed(NamedTuple):
    """What a commit said: see `Partition.mark`."""

    finished: Finished
    results_next: int | None
    epoch: int = 0
    emitted_ms: int = 0


class Partition:
    """One partition, from its assignment until it is lost."""

    def __init__(self, number: int, finished: Finished, results_next: int | None) -> None:
        self.number = number
        self.finished = finished
        self.repeats = Repeats()
        self.results_next = results_next  # behind the newest acknowledged result; None: none is known
        self.rest: deque[Any] = deque()  # records that were handed over and not taken yet
        self.taking = asyncio.Lock()
        self.paused = False  # revoked: nothing new is called
        self.lost = False
        self.parked: list[Call] = []  # due while paused
        self.begun = 0  # calls that were begun and whose results are not acknowledged
        self.quiet = asyncio.Event()
        self.quiet.set()

    def begin(self) -> None:
        """A call starts."""
        self.begun += 1
        self.quiet.clear()

    def settle(self, calls: Iterable[Call], last_result: int) -> None:
        """The results of these are acknowledged; `last_result` is the offset of the last one."""
        finish = self.finished.finish
        count = 0
        for call in calls:
            finish(call.offset)
            count += 1
        self.begun -= count
        self.results_next = last_result + 1
        if not self.begun:
            self.quiet.set()

    def mark(self) -> tuple[int, str]:
        """(offset to commit, metadata): how far the results had come, the epoch at the offset, what is finished beyond it."""
        offset, finished = self.finished.mark()
        results = "" if self.results_next is None else f"{self.results_next:x}"
        epoch, emitted_ms = self.repeats.in_force(offset)
        heard = f"{EPOCH_MARK}{epoch:x}{EPOCH_MARK}{emitted_ms // 1000:x}" if epoch else ""
        return offset, f"{results}{heard}{RESULTS_MARK}{finished}"


def resume(offset: int | None, metadata: str) -> Resumed:
    """What `mark` had written. Metadata of another origin tells nothing: its executions are called (again).

    Nothing committed: the first executor may have died before its first commit, so all results there are count.
    """
    if offset is None:
        return Resumed(Finished(), 0)
    known, separator, finished = metadata.partition(RESULTS_MARK)
    if not separator:
        return Resumed(Finished(offset), None)
    results, _, heard = known.partition(EPOCH_MARK)
    epoch, _, second = heard.partition(EPOCH_MARK)
    return Resumed(
        Finished(offset, decode(offset, finished)), _number(results), _number(epoch) or 0, (_number(second) or 0) * 1000
    )


def _number(text: str) -> int | None:
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None

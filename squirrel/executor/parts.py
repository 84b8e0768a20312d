"""What an executor is made of, what it needs of its group, and what it counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from squirrel.executor.callers import Callers
from squirrel.executor.circuits import Circuits
from squirrel.executor.reporting import Append
from squirrel.model.clock import Clock


class Membership(Protocol):
    """What the executor needs of its consumer group: a `LaneApp`."""

    rebalancing: bool

    def mark(self, topic: str, partition: int, next_offset: int, metadata: str = "") -> None: ...

    async def commit_now(self, topic: str, partition: int) -> bool: ...

    async def committed(self, topic: str, partition: int) -> Any: ...


@dataclass(frozen=True, slots=True)
class ExecutorParts:
    """What an executor is made of. `reported(partition, offset)`: attempts whose results stand at or behind that offset."""

    clock: Clock
    callers: Callers
    append: Append
    reported: Callable[[int, int], Awaitable[Sequence[str]]]
    executions: str
    results: str
    refused: str
    refused_partitions: int
    window: int
    window_per_host: int
    signing_keys: tuple[bytes, ...]
    circuits: Circuits
    completion_key: bytes | None  # of the tokens of asynchronous targets; None: they get none
    crash: Callable[[BaseException], None]
    log: Any


@dataclass(slots=True)
class Counters:
    """What the executor of this process has done since it started."""

    calls: int = 0
    calls_failed: int = 0
    repeats_dropped: int = 0
    stale_epochs_dropped: int = 0
    poison: int = 0
    skipped: int = 0  # finished before, as the commit's metadata or the results said

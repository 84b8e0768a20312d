"""What the owners of one process share: the writer, the topics, the books that are followed, the counters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from squirrel.engine.admission import UNLIMITED
from squirrel.model.clock import Clock
from squirrel.model.target import Route
from squirrel.recurrence import CalendarLookup
from squirrel.streams.timeline.store import TimelineStore
from squirrel.wire.listeners import Listener

Record = tuple[bytes, bytes | None, Sequence[tuple[str, bytes]]]
LATENESS_SAMPLE_MAX = 4096


class Writer(Protocol):
    """The idempotent batch writer of `streams/`."""

    async def append(self, topic: str, partition: int, records: Sequence[Record]) -> int:
        """All records of one partition, acknowledged by all in-sync replicas; the offset of the last."""
        ...


class Poison(NamedTuple):
    """A record that cannot be decoded; it has offset, key and value."""

    topic: str
    record: Any
    reason: str


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The topics an owner writes; they carry the installation's prefix."""

    commands: str
    results: str
    changelog: str
    executions: str
    completions: str
    dead_letters: str
    refused: str
    definitions: str


@dataclass(slots=True)
class Counters:
    """What the engine of this process has done since it started."""

    commands: int = 0
    results: int = 0
    executions: int = 0
    completions: int = 0
    dead_letters: int = 0
    refused: int = 0
    replays: int = 0
    poison: int = 0
    lateness_ms: list[int] = field(default_factory=list)  # ring of the newest first attempts
    lateness_at: int = 0

    def late(self, lateness_ms: int) -> None:
        """Note how late the newest first attempt started."""
        if len(self.lateness_ms) < LATENESS_SAMPLE_MAX:
            self.lateness_ms.append(lateness_ms)
        else:
            self.lateness_ms[self.lateness_at % LATENESS_SAMPLE_MAX] = lateness_ms
        self.lateness_at += 1


@dataclass(frozen=True, slots=True)
class EngineParts:
    """What every owner of a process shares."""

    store: TimelineStore
    writer: Writer
    topics: TopicNames
    partitions: int
    refused_partitions: int
    clock: Clock
    route: Callable[[str, str], Route | None]
    calendars: Callable[[str], CalendarLookup]
    listeners: Callable[[str, str], Sequence[Listener]]
    draw: Callable[[], float]
    counters: Counters
    emit_ahead_ms: int
    observe_lateness: Callable[[int], None]
    log: Any
    workflows: Callable[[str, str], bytes | None] = lambda namespace, name: None  # the newest definition, encoded
    emit_window: int = UNLIMITED  # attempts under way, per partition and namespace
    gone: Callable[[], str | None] = lambda: None  # why the partitions of this process may be another's by now, or None

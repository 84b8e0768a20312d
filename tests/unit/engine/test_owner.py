"""The owner's write order where Kafka fails in its middle: nothing is stepped on from rows that may be behind the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from squirrel.engine.owner import Owner
from squirrel.engine.parts import Counters, EngineParts, TopicNames
from squirrel.model.errors import Fatal
from squirrel.model.schedule import Spec
from squirrel.model.target import HttpTarget
from squirrel.model.when import When
from squirrel.recurrence import no_calendars
from squirrel.streams.timeline.store import TimelineStore
from squirrel.wire.records import Command, encode_command

T0 = 1_800_000_000_000
TOPICS = TopicNames(
    "commands", "results", "changelog", "executions", "completions", "letters", "refused", "definitions"
)


class Clock:
    now = T0

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1000


class Log:
    """Takes appends; from `away` on those to one topic fail, as when Kafka does not acknowledge in time."""

    def __init__(self) -> None:
        self.records: list[str] = []
        self.away = ""

    async def append(self, topic: str, partition: int, records: Sequence[Any]) -> int:
        if topic == self.away:
            raise Fatal(f"{topic}/{partition}: Kafka did not acknowledge {len(records)} records in 30 s")
        self.records += [topic] * len(records)
        return len(self.records)


def command(op: Any, offset: int, **fields: Any) -> Any:
    sent = Command(op, "default", "one", f"c{offset}", T0 + offset, reply=True, **fields)
    return SimpleNamespace(offset=offset, key=b"one", value=encode_command(sent))


async def test_after_a_batch_that_failed_half_way_nothing_more_is_emitted_or_answered(tmp_path: Path) -> None:
    """Found by the simulation: a run was emitted, its row was not logged, and a cancel in the seconds until the process had
    ended found the row untouched, answered 204 and could not stop the call."""
    log, clock, store = Log(), Clock(), TimelineStore(tmp_path)
    store.open(0)
    parts = EngineParts(
        store=store,
        writer=log,
        topics=TOPICS,
        partitions=1,
        refused_partitions=1,
        clock=clock,
        route=lambda namespace, event: None,
        calendars=lambda namespace: no_calendars,
        listeners=lambda namespace, event: (),
        draw=lambda: 0.5,
        counters=Counters(),
        emit_ahead_ms=100,
        observe_lateness=lambda lateness_ms: None,
        log=None,
    )
    owner = Owner(parts, 0, 1)
    spec = Spec("paid", When(at_ms=T0 + 1000), target=HttpTarget("https://target.example/hook"))
    await owner.take_commands([command("create", 0, spec=spec)])
    log.away = "changelog"
    clock.now = T0 + 950
    with pytest.raises(Fatal, match="did not acknowledge"):
        await owner.fire(10)
    assert log.records.count("executions") == 1
    log.away = ""
    with pytest.raises(Fatal, match="not carried out to its end"):
        await owner.take_commands([command("cancel", 1)])
    with pytest.raises(Fatal, match="not carried out to its end"):
        await owner.fire(10)
    assert owner.outcomes.kept(1) is None, "nobody is told that it was cancelled"
    assert log.records.count("executions") == 1
    store.close_all()

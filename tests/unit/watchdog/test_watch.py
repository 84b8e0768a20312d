"""The watchdog on real records and a real ledger: what is overdue is told although the engine says nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import structlog

from squirrel.model.instants import format_instant
from squirrel.model.schedule import OpenRun, Row, RunState, Spec, State, encode_row
from squirrel.model.target import HttpTarget
from squirrel.model.when import When
from squirrel.streams.timeline.keys import s_key
from squirrel.watchdog.alarm import REMIND_MS, Alarm
from squirrel.watchdog.ledger import Ledger
from squirrel.watchdog.shell import Watch, WatchParts
from squirrel.watchdog.step import Kind
from squirrel.wire.expectations import AskExpectations, decode_expectations, encode_ask
from squirrel.wire.owner_mark import OwnerMark, encode_owner_mark
from squirrel.wire.public import Result, encode_public
from squirrel.wire.records import Execution, encode_execution
from tests.eventually import eventually

NOW_MS = 1_800_000_000_000
MINUTE_MS = 60_000
TARGET = HttpTarget("https://hooks.example.com/", timeout_ms=1_000)
KINDS: dict[str, Kind] = {
    "changelog": "changelog",
    "executions": "executions",
    "results": "results",
    "completions": "completions",
}


class Log:
    """Topics as the watchdog reads them; what a test appends is read next."""

    def __init__(self) -> None:
        self.records: dict[str, list[tuple[bytes | None, bytes | None]]] = {topic: [] for topic in KINDS}
        self.at: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.fits = True
        self.never = asyncio.Event()

    async def start(self, positions: Mapping[tuple[str, int], int]) -> bool:
        self.at = {topic: positions.get((topic, 0), 0) for topic in KINDS} if self.fits else dict.fromkeys(KINDS, 0)
        return self.fits

    async def stop(self) -> None:
        """Nothing is held."""

    async def batches(self) -> list[tuple[str, int, list[Any]]]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.005):
                await self.never.wait()  # as a fetch that finds nothing
        found = []
        for topic, kept in self.records.items():
            new = [
                SimpleNamespace(topic=topic, partition=0, offset=offset, key=key, value=value)
                for offset, (key, value) in enumerate(kept)
                if offset >= self.at[topic]
            ]
            self.at[topic] = len(kept)
            found.append((topic, 0, new))
        return found

    def positions(self) -> dict[tuple[str, int], int]:
        return {(topic, 0): at for topic, at in self.at.items()}

    @property
    def caught_up(self) -> bool:
        return all(self.at[topic] == len(kept) for topic, kept in self.records.items())

    async def record(self, partition: int, offset: int) -> bytes | None:
        return self.records["changelog"][offset][1]


class Clock:
    def __init__(self) -> None:
        self.wall_ms = NOW_MS

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() * 50  # a look every twenty milliseconds


class World:
    def __init__(self, path: Path, log: Log | None = None) -> None:
        self.log = log or Log()
        self.clock = Clock()
        self.told: list[tuple[str, str]] = []
        self.watch = Watch(
            WatchParts(
                clock=self.clock,
                ledger=Ledger(path / "ledger.db"),
                source=self.log,
                kinds=KINDS,
                calendars=lambda _: lambda _: None,
                tell=self._tell,
                threshold_ms=MINUTE_MS,
                log=structlog.get_logger(),
            )
        )

    async def _tell(self, title: str, text: str) -> None:
        self.told.append((title, text))

    def row(self, name: str, due_ms: int | None, *, cron: str = "", runs: list[OpenRun] | None = None) -> None:
        when = When(cron=cron, timezone="UTC") if cron else When(at_ms=due_ms)
        row = Row(
            "default", name, State.ACTIVE, due_ms, NOW_MS, "e", (), 1, runs or [], Spec("e", when), slot_ms=due_ms,
            rule_ms=NOW_MS - MINUTE_MS,
        )  # fmt: skip
        self.log.records["changelog"].append((s_key("default", name), encode_row(row)))

    def gone(self, name: str) -> None:
        self.log.records["changelog"].append((s_key("default", name), None))

    def emitted(self, name: str, run: str, **more: Any) -> None:
        execution = Execution(run, 1, "default", name, "e", NOW_MS, NOW_MS, NOW_MS, 1, TARGET, b"", **more)
        self.log.records["executions"].append((name.encode(), encode_execution(execution)))

    def answered(self, name: str, run: str) -> None:
        text = format_instant(NOW_MS)
        result = Result(
            run=run, schedule_id=name, namespace="default", event="e", slot=text, due=text, emitted=text, picked_up=text,
            started=text, finished=text, attempt=1, state="succeeded", target={}, finished_ms=NOW_MS + 7, due_ms=NOW_MS,
        )  # fmt: skip
        self.log.records["results"].append((name.encode(), encode_public(result)))

    async def later(self, ms: int) -> None:
        """Time passes, and the watchdog has judged it."""
        self.clock.wall_ms += ms
        await eventually(lambda: self.watch.as_of_ms >= self.clock.wall_ms)
        looks = self.watch.as_of_ms
        self.clock.wall_ms += 1
        await eventually(lambda: self.watch.as_of_ms > looks)

    async def ask(self, state: str = "overdue", **more: Any) -> Any:
        return decode_expectations(
            await self.watch.answer(encode_ask(AskExpectations(namespace="default", state=state, **more)))
        )


@asynccontextmanager
async def watching(path: Path, log: Log | None = None) -> AsyncIterator[World]:
    world = World(path, log)
    await world.watch.start()
    running = asyncio.create_task(world.watch.run())
    try:
        yield world
    finally:
        if running.done():
            await running
        running.cancel()
        await asyncio.wait({running})
        await world.watch.stop()


async def test_what_should_have_run_and_did_not(tmp_path: Path) -> None:
    async with watching(tmp_path) as world:
        world.row("once", NOW_MS + 1_000)
        world.row("done", NOW_MS + 1_000)
        world.row("tomorrow", NOW_MS + 86_400_000)
        await world.later(500)
        assert (await world.ask()).overdue == 0
        assert [each["schedule_id"] for each in (await world.ask("coming")).items] == ["done", "once", "tomorrow"]
        world.gone("done")
        await world.later(30_000)
        answer = await world.ask()
        assert (answer.overdue, [each["schedule_id"] for each in answer.items]) == (1, ["once"])
        assert answer.items[0]["missing"] == [format_instant(NOW_MS + 1_000)]
        assert answer.items[0]["late_ms"] > 29_000
        assert world.told == []  # a minute is the threshold
        await world.later(MINUTE_MS)
        await eventually(lambda: len(world.told) == 1)
        assert "default/once" in world.told[0][1]
        world.gone("once")
        await world.later(10)
        await eventually(lambda: len(world.told) == 2)
        assert (await world.ask()).overdue == 0


async def test_each_missing_slot_of_a_rule_is_known_while_the_engine_is_frozen(tmp_path: Path) -> None:
    async with watching(tmp_path) as world:
        first = NOW_MS - NOW_MS % MINUTE_MS + MINUTE_MS
        world.row("minutely", first, cron="* * * * *")
        await world.later(10 * MINUTE_MS)
        (item,) = (await world.ask()).items
        assert item["missing_count"] == 10
        assert item["missing"][:2] == [format_instant(first), format_instant(first + MINUTE_MS)]


async def test_attempts_without_a_result(tmp_path: Path) -> None:
    async with watching(tmp_path) as world:
        world.emitted("a", "run_a")
        world.emitted("b", "run_b")
        world.emitted("untracked", "run_c", track=False)
        await world.later(10)
        world.answered("a", "run_a")
        await world.later(60_000)
        answer = await world.ask("unanswered")
        assert (answer.unanswered, [each["run"] for each in answer.items]) == (1, ["run_b"])
        (ended,) = (await world.ask("ended")).items
        assert (ended["run"], ended["state"], ended["emitted"]) == ("run_a", "succeeded", format_instant(NOW_MS))
        world.answered("b", "run_b")
        await world.later(10)
        assert (await world.ask("unanswered")).unanswered == 0


async def test_a_retry_that_nobody_makes_is_overdue(tmp_path: Path) -> None:
    async with watching(tmp_path) as world:
        waiting = OpenRun("run_a", NOW_MS, NOW_MS + 2_000, RunState.RETRY_WAIT, 1)
        world.row("a", NOW_MS + 2_000, runs=[waiting])
        await world.later(20_000)
        assert [each["schedule_id"] for each in (await world.ask(schedule="a")).items] == ["a"]
        assert (await world.ask(schedule="b")).items == []


async def test_it_goes_on_where_it_was_and_begins_anew_when_the_topics_did(tmp_path: Path) -> None:
    log = Log()
    async with watching(tmp_path, log) as world:
        world.row("a", NOW_MS + 1_000)
        await world.later(10)
    async with watching(tmp_path, log) as world:
        read = world.watch.read
        await world.later(20_000)
        assert (world.watch.read, (await world.ask()).overdue) == (read, 1)
    log.fits = False
    log.records = {topic: [] for topic in KINDS}
    async with watching(tmp_path, log) as world:
        await world.later(20_000)
        assert (await world.ask()).overdue == 0


async def test_records_of_strangers_are_counted_and_passed_over(tmp_path: Path) -> None:
    async with watching(tmp_path) as world:
        world.log.records["changelog"] += [(b"Sdefault\0x", b"junk"), (b"M", b""), (b"W", b""), (None, b"")]
        world.log.records["results"].append((b"", b"{"))
        world.log.records["executions"].append((b"", encode_owner_mark(OwnerMark(7, NOW_MS))))
        world.row("a", NOW_MS + 1)
        await world.later(20_000)
        assert world.watch.unreadable == 2, "an owner's mark is ours"
        assert (await world.ask()).overdue == 1


def test_people_are_told_once_again_later_and_at_the_end() -> None:
    alarm = Alarm(MINUTE_MS)
    assert alarm.look(0, 0, 0, [], None) is None
    first = alarm.look(1_000, 2, 0, ["n/a"], 0)
    assert first is not None
    assert "2 schedules should have run" in first.text
    assert alarm.look(2_000, 3, 1, ["n/a"], 0) is None
    again = alarm.look(1_000 + REMIND_MS, 3, 1, ["n/a"], 0)
    assert again is not None
    over = alarm.look(2_000 + REMIND_MS, 0, 0, [], None)
    assert over is not None
    assert "901 s" in over.text
    assert alarm.look(3_000 + REMIND_MS, 0, 0, [], None) is None

"""A gateway in one process with what stands on the other side of its wires.

The engine, its RocksDB, the history in SQLite and the link's HTTP are the real ones. Kafka is not: `MemoryLog` keeps records in
lists and hands commands to the engine, which is what a unit test can afford; tests/system/gateway has the broker.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from aiohttp import web
from fastapi import FastAPI

from squirrel.engine.parts import Counters, EngineParts, TopicNames
from squirrel.engine.shell import Engine
from squirrel.gateway.app import create_app
from squirrel.gateway.deps import GatewayDeps, GatewaySettings
from squirrel.gateway.kafka_writer import Record
from squirrel.model.addresses import parse_networks
from squirrel.model.instants import format_instant
from squirrel.recorder.step import batch_of, read
from squirrel.stores.history import AttemptRecord, CompletionRecord, HistoryBatch
from squirrel.stores.sqlite import SqliteHistory
from squirrel.streams.timeline.store import TimelineStore
from squirrel.wire.documents import TargetPolicy
from squirrel.wire.expectations import AskExpectations, Expectations, decode_ask, encode_expectations
from squirrel.wire.owner_link import PATH
from squirrel.wire.owner_mark import owner_mark_of
from squirrel.wire.public import Result, encode_public
from squirrel.wire.records import Execution, decode_execution
from squirrel.wire.route_book import DEFINITIONS_PARTITION, RouteBook
from tests.eventually import eventually

PARTITIONS = 4
NOW_MS = 1_800_000_000_000


TOPICS = TopicNames(
    commands="commands",
    results="results",
    changelog="changelog",
    executions="executions",
    completions="completions",
    dead_letters="dead-letters",
    refused="refused",
    definitions="definitions",
)
DEFINITIONS = TOPICS.definitions
OPERATIONS = "operations"
DEAD_LETTERS = "dead-letters"
AUDIT = "squirrel.audit"
TOKEN = "between-services"
HOOK = {"type": "http", "url": "https://hooks.example.com/hook"}


class SetClock:
    """Wall time stands where a test puts it; durations are the loop's."""

    def __init__(self) -> None:
        self.wall_ms = NOW_MS
        self.skip_seconds = 0.0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() + self.skip_seconds


class MemoryLog:
    """All topics: appended records get offsets; followers are told in order. `down` refuses, `stalled` never answers."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.appends: list[tuple[str, int, int]] = []  # topic, partition, records
        self.commands = 0
        self.engine: Engine | None = None
        self.definitions: MemoryDefinitions | None = None
        self.operations: MemoryDefinitions | None = None
        self.recorder: Callable[[Sequence[Record]], Awaitable[None]] | None = None
        self.down = False
        self.stalled: asyncio.Event | None = None
        self._feeding: asyncio.Queue[tuple[int, list[Any]]] = asyncio.Queue()

    async def start(self) -> None:
        if self.down:
            raise OSError("no broker")

    async def stop(self) -> None:
        """Nothing is held."""

    async def append(self, topic: str, partition: int, records: Sequence[Record]) -> int:
        if self.stalled is not None:
            await self.stalled.wait()
        if self.down:
            raise OSError("no broker")
        log = self.records[topic, partition]
        first = len(log)
        log.extend(records)
        self.appends.append((topic, partition, len(records)))
        if topic == TOPICS.commands:
            self.commands += len(records)
            offsets = itertools.count(first)
            self._feeding.put_nowait(
                (
                    partition,
                    [
                        SimpleNamespace(topic=topic, partition=partition, offset=next(offsets), key=key, value=value)
                        for key, value, _ in records
                    ],
                )
            )
        if topic == DEFINITIONS and self.definitions is not None:
            self.definitions.take(records)
        if topic == OPERATIONS and self.operations is not None:
            self.operations.take(records)
        if topic == DEAD_LETTERS and self.recorder is not None:
            await self.recorder(records)
        return len(log) - 1

    async def feed(self) -> None:
        """Hands commands to the engine, one append at a time."""
        while True:
            partition, records = await self._feeding.get()
            if self.engine is not None and partition in self.engine.owners:
                await self.engine.take_commands(TOPICS.commands, partition, records)


class MemoryDefinitions:
    """The definitions topic, followed without delay."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.next_offset = 0

    def take(self, records: Sequence[Record]) -> None:
        for key, value, _ in records:
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
        self.next_offset += len(records)

    async def ready(self) -> None:
        """At once."""

    async def reached(self, offset: int) -> None:
        """At once."""


class MemoryPages:
    """The audit topic as `TopicPages` reads it."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def backwards(self, below: Mapping[int, int] | None) -> AsyncIterator[tuple[int, int, int, bytes]]:
        found = [
            (offset, partition, offset, value or b"")
            for (topic, partition), kept in self._log.records.items()
            if topic == AUDIT
            for offset, (_, value, _) in enumerate(kept)
            if below is None or offset < below.get(partition, 0)
        ]
        for each in sorted(found, reverse=True):
            yield each


class SetDirectory:
    """Who owns what, as a test puts it; counts how often it was asked."""

    def __init__(self) -> None:
        self.map: dict[int, str] = {}
        self.asked = 0

    async def owners(self) -> Mapping[int, str]:
        self.asked += 1
        return dict(self.map)


class World:
    """What a test holds in its hands."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.log = MemoryLog()
        self.definitions = MemoryDefinitions()
        self.log.definitions = self.definitions
        self.operations = self.log.operations = MemoryDefinitions()
        self.log.recorder = self.record_letters
        self.directory = SetDirectory()
        self.history = SqliteHistory(folder / "history.db")
        self.posts = 0
        self.link_down = False
        self.watchdog_url = ""
        self.watchdog_asked: list[AskExpectations] = []
        self.expectations = Expectations(as_of_ms=NOW_MS, ready=True, overdue=0, unanswered=0, items=[])
        self.answer_asks: Callable[[bytes], Awaitable[bytes]] | None = None  # instead of the engine
        self._ids = itertools.count(1)
        book = RouteBook(self.definitions)
        self.engine = Engine(
            EngineParts(
                calendars=lambda _: lambda _: None,
                listeners=lambda *_: (),
                store=TimelineStore(folder / "timeline"),
                writer=self.log,
                topics=TOPICS,
                partitions=PARTITIONS,
                refused_partitions=1,
                clock=self.clock,
                route=lambda namespace, event: next(
                    (route for route in book.all(namespace) if book.matches(namespace, event)), None
                ),
                draw=lambda: 0.5,
                counters=Counters(),
                emit_ahead_ms=0,
                observe_lateness=lambda _: None,
                log=logging.getLogger("engine"),
            ),
            self._opened,
            self._crashed,
        )
        self.log.engine = self.engine

    async def _opened(self, partition: int) -> None:
        self.engine.parts.store.open(partition)

    def _crashed(self, error: BaseException) -> None:
        raise AssertionError("the engine ended") from error

    def new_id(self) -> str:
        return f"sq-{next(self._ids):06d}"

    def deps(self, **settings: Any) -> GatewayDeps:
        given: dict[str, Any] = {
            "partitions": PARTITIONS,
            "commands_topic": TOPICS.commands,
            "definitions_topic": DEFINITIONS,
            "operations_topic": OPERATIONS,
            "dead_letters_topic": DEAD_LETTERS,
            "link_token": TOKEN,
            "targets": TargetPolicy(allow_cidrs=parse_networks("127.0.0.0/8")),
            "version": "9.9.9",
            "outcome_seconds": 2.0,
            "write_seconds": 1.0,
            "watchdog_url": self.watchdog_url,
        }
        return GatewayDeps(
            clock=self.clock,
            new_id=self.new_id,
            settings=GatewaySettings(**(given | settings)),
            new_writer=lambda: self.log,
            directory=self.directory,
            definitions=self.definitions,
            history=self.history,
            operations=self.operations,
            audit_source=MemoryPages(self.log),
        )

    async def answer(self, request: web.Request) -> web.Response:
        """The owner's internal HTTP."""
        if request.content_type == "application/json":
            self.watchdog_asked.append(decode_ask(await request.read()))
            return web.Response(body=encode_expectations(self.expectations))
        self.posts += 1
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        if self.link_down:
            return web.Response(status=503)
        answer = self.answer_asks or self.engine.answer
        return web.Response(body=await answer(await request.read()))

    async def caught_up(self) -> None:
        """Returns once the engine has applied all commands."""
        await eventually(lambda: self.engine.parts.counters.commands >= self.log.commands)

    async def emitted(self) -> None:
        """Returns once the engine has emitted a run."""
        await eventually(lambda: bool(self.orders()))

    def orders(self) -> list[tuple[int, Execution]]:
        """(partition, execution): what the engine has emitted, in the order of each partition."""
        found = []
        for (topic, partition), records in self.log.records.items():
            if topic == TOPICS.executions:
                values = [value for _, value, _ in records if owner_mark_of(value) is None]
                found += [(partition, decode_execution(value)) for value in values]
        return found

    async def finish(self, state: str = "succeeded", *, record: bool = True, status: int = 200) -> str:
        """An executor's word on the newest emitted attempt: to the engine, and, when `record`, to the history."""
        partition, execution = max(self.orders(), key=lambda each: (each[1].emitted_ms, each[1].attempt))
        now_ms = self.clock.now_ms()
        text = format_instant(now_ms)
        result = Result(
            run=execution.run, schedule_id=execution.schedule, namespace=execution.namespace, event=execution.event,
            slot=format_instant(execution.slot_ms), due=format_instant(execution.due_ms), emitted=text, picked_up=text,
            started=text, finished=text, attempt=execution.attempt, state=state, target={"type": "http"}, status=status,
            finished_ms=now_ms, started_ms=now_ms, due_ms=execution.due_ms, slot_ms=execution.slot_ms,
            final=state == "failed",
        )  # fmt: skip
        record_of = SimpleNamespace(
            topic=TOPICS.results, partition=partition, offset=0, key=b"", value=encode_public(result)
        )
        await self.engine.take_results(TOPICS.results, partition, [record_of])
        if record:
            await self.record(execution, state, status)
        return execution.run

    async def record_letters(self, records: Sequence[Record]) -> None:
        """Dead letters and what is made of them, as the recorder brings them into the history."""
        received = [SimpleNamespace(topic=DEAD_LETTERS, value=value) for _, value, _ in records]
        items, poison = read(received, "dead-letters")
        assert not poison
        await self.history.write(batch_of(items))

    async def record(self, execution: Any, state: str, status: int) -> None:
        """What the recorder would write."""
        now_ms = self.clock.now_ms()
        of_run = {
            "namespace": execution.namespace, "schedule_id": execution.schedule, "run": execution.run,
            "event": execution.event, "slot_ms": execution.slot_ms, "due_ms": execution.due_ms, "finished_ms": now_ms,
        }  # fmt: skip
        attempt = AttemptRecord(
            **of_run, number=execution.attempt, emitted_ms=now_ms, picked_up_ms=now_ms, started_ms=now_ms, state=state,
            target=b'{"type":"http","url":"https://hooks.example.com/hook"}', status=status, headers=b'{"x":"y"}', body="ok",
        )  # fmt: skip
        completion = CompletionRecord(**of_run, state=state, attempts_count=execution.attempt, status=status)
        await self.history.write(HistoryBatch(attempts=(attempt,), completions=(completion,)))


@asynccontextmanager
async def running_world(folder: Path) -> AsyncIterator[World]:
    """A world with its owner listening and all partitions owned."""
    world = World(folder)
    await world.history.start()
    owner = web.Application(client_max_size=64 * 1024 * 1024)
    owner.router.add_post(PATH, world.answer)
    runner = web.AppRunner(owner, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    world.watchdog_url = f"http://127.0.0.1:{port}"
    world.directory.map = dict.fromkeys(range(PARTITIONS), f"http://127.0.0.1:{port}")
    for partition in range(PARTITIONS):
        await world.engine.on_assigned(partition, epoch=1)
    feeding = asyncio.create_task(world.log.feed())
    try:
        yield world
    finally:
        if feeding.done():
            await feeding  # what ended it is what the test should show
        feeding.cancel()
        for partition in range(PARTITIONS):
            await world.engine.on_revoked(partition)
            await world.engine.on_lost(partition)
        await runner.cleanup()
        await world.history.close()


@asynccontextmanager
async def client_of(app: FastAPI, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A caller of the application, which runs as long as it does."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=True), base_url="http://gateway", headers=headers
        ) as client,
    ):
        yield client


def one_shot(**fields: Any) -> dict[str, Any]:
    """A schedule far in the future, with what the test changes."""
    return {"event": "email.send", "target": HOOK, "when": {"at": "2027-06-01T10:00:00Z"}, "message": {"n": 1}} | fields


__all__ = [
    "DEFINITIONS", "DEFINITIONS_PARTITION", "HOOK", "NOW_MS", "PARTITIONS", "TOKEN", "TOPICS", "MemoryLog", "World",
    "client_of", "create_app", "one_shot", "running_world",
]  # fmt: skip

"""An executor on a real broker, executions as the engine writes them, and the results it reports."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from squirrel.model.target import HttpTarget, Target
from squirrel.runtime.clock import SystemClock
from squirrel.runtime.dev import environment_of
from squirrel.runtime.service import Context, _context
from squirrel.runtime.services.executor import ExecutorService, build
from squirrel.runtime.settings import Settings, load
from squirrel.runtime.topics import apply_topics
from squirrel.streams.writer import BatchWriter
from squirrel.wire.public import Result, decode_result
from squirrel.wire.records import Execution, encode_execution
from squirrel.wire.topics import Topics
from tests.eventually import eventually

_CLOCK = SystemClock()  # the receiver's, which is this machine's
PARTITIONS = 4
SESSION_SECONDS = 6.0  # the least that a broker takes


class World:
    """One installation. `emit` writes as the engine does, `results` is all that was reported so far, in order of reading."""

    def __init__(self, settings: Settings, writer: BatchWriter) -> None:
        self.settings = settings
        self.topics = Topics(settings.topic_prefix)
        self.writer = writer
        self.results: list[Result] = []
        self.headers: list[dict[str, bytes]] = []
        self.crashes: list[str] = []

    @property
    def finished(self) -> set[str]:
        return {result.run for result in self.results}

    def execution(self, number: int, target: Target | str, *, due_ms: int | None = None, **fields: Any) -> Execution:
        due = self.now_ms() if due_ms is None else due_ms
        values: dict[str, Any] = {
            "run": f"run_{number:032x}",
            "attempt": 1,
            "namespace": "default",
            "schedule": f"s{number}",
            "event": "email.send",
            "slot_ms": due,
            "due_ms": due,
            "emitted_ms": due - 100,
            "epoch": 3,
            "target": HttpTarget(target, timeout_ms=20_000) if isinstance(target, str) else target,
            "message": b'{"number":%d}' % number,
        }
        return Execution(**{**values, **fields})

    def now_ms(self) -> int:
        return _CLOCK.now_ms()

    async def emit(self, *executions: Execution, partition: int | None = None) -> None:
        """Each to the partition of its number, or all to one."""
        by_partition: dict[int, list[Any]] = {}
        for execution in executions:
            number = int(execution.schedule[1:]) % PARTITIONS if partition is None else partition
            record = (execution.schedule.encode(), encode_execution(execution), ())
            by_partition.setdefault(number, []).append(record)
        for number, records in by_partition.items():
            await self.writer.append(self.topics.executions, number, records)

    async def until(self, count: int, timeout_seconds: float = 30.0) -> list[Result]:
        """Waits for that many results."""
        await eventually(lambda: len(self.results) >= count, timeout_seconds, f"{count} results")
        return self.results

    @asynccontextmanager
    async def executor(self, **settings: Any) -> AsyncIterator[ExecutorService]:
        """One in this process, ready when entered, stopped when left."""
        context = _context("executor", self.settings.model_copy(update=settings))
        await context.door.start()
        service = build(context)
        await service.start()
        try:
            await eventually(lambda: self._settled(service, context), 20, "the executor is ready")
            yield service
        finally:
            await service.stop()
            await context.door.stop()
            self.crashes += context.crashes

    @staticmethod
    def _settled(service: ExecutorService, context: Context) -> bool:
        assert not context.crashes, context.crashes
        return service.ready() is None and service.app.generation >= 0

    async def process(self) -> asyncio.subprocess.Process:
        """`squirrel executor` as a process of its own."""
        environment = environment_of(self.settings, 0)
        environment["SQUIRREL_SESSION_TIMEOUT_SECONDS"] = str(SESSION_SECONDS)
        environment["PYTHONPATH"] = str(Path(__file__).parents[3])
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "squirrel", "executor", env=environment, stderr=asyncio.subprocess.DEVNULL
        )

    async def collect(self) -> None:
        """Follows the results; runs until it is cancelled."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.kafka, enable_auto_commit=False)
        await consumer.start()
        try:
            tps = [TopicPartition(self.topics.results, number) for number in range(PARTITIONS)]
            consumer.assign(tps)
            await consumer.seek_to_beginning()
            while True:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    for record in records:
                        self.results.append(decode_result(record.value))
                        self.headers.append(dict(record.headers))
        finally:
            await consumer.stop()


@pytest.fixture
async def world(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    settings, _ = load(
        {"kafka": kafka, "topic_prefix": topic_prefix, "data_dir": str(tmp_path)},
        environment={},
        env_file=Path(os.devnull),
        profile={
            "partitions": PARTITIONS,
            "targets_allow_cidrs": "127.0.0.0/8",
            "session_timeout_seconds": SESSION_SECONDS,
            "heartbeat_seconds": 1.0,
            "webhook_secrets": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "worker": "first",
        },
    )
    await apply_topics(settings)
    async with BatchWriter(kafka, client_id="test") as writer:
        made = World(settings, writer)
        collecting = asyncio.get_running_loop().create_task(made.collect())
        yield made
        collecting.cancel()
        await asyncio.wait({collecting})
    assert made.crashes == []

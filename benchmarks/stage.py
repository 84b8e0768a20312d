"""The stage of a benchmark: an embedded Kafka with all topics, and service processes as `squirrel dev` starts them.

    async with stage() as on:
        engine = await on.start("engine")
        await on.until(lambda: engine.counter("commands"), at_least=500_000, ...)

Everything lies in a fresh directory and ends with the block, also when it fails or this process is killed. A service that ends
by itself ends the benchmark with its last lines.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from squirrel.runtime.clock import SystemClock
from squirrel.runtime.dev import PROFILE, STOP_ORDER, environment_of
from squirrel.runtime.local.jvm import free_port
from squirrel.runtime.local.kafka import EmbeddedKafka
from squirrel.runtime.processes import Child, Supervisor, http_ready
from squirrel.runtime.restarts import RestartPolicy
from squirrel.runtime.settings import Settings, load
from squirrel.runtime.topics import apply_topics
from squirrel.wire.topics import Topics

READY_SECONDS_MAX = 120.0
POLL_SECONDS = 0.02
ASK_SECONDS_MAX = 10.0
existing_kafka: ContextVar[str | None] = ContextVar("existing_kafka", default=None)  # --kafka
LOOSE_SETTINGS = ("API_AUTH", "PORT", "RETRIES", "RETRY_TIME", "ALLOWED_ORIGINS", "ALLOWED_TARGET_HOSTS", "LOG_LEVEL")


def note(line: str) -> None:
    """Progress, on stderr: stdout holds figures only."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def forget_own_settings() -> None:
    """What whoever runs this has set for their own Squirrel must not decide a figure."""
    for name in list(os.environ):
        ours = name.startswith(("SQUIRREL_", "WORKER_", "PREQUEUER_")) or name in LOOSE_SETTINGS
        if ours and name != "SQUIRREL_CACHE_DIR":
            del os.environ[name]


@dataclass(slots=True)
class Service:
    """One running service process. `lines` is what it wrote."""

    name: str
    port: int
    supervisor: Supervisor
    lines: list[str]
    lost: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self.supervisor.pids()[self.name]

    async def metrics(self) -> dict[str, float]:
        """Its own counters and gauges by the names of runtime/metrics.py, plus what its registry holds."""
        found = {}
        for line in (await http_get(self.port, "/metrics")).decode().splitlines():
            match = _METRIC.fullmatch(line)
            if match is not None:
                found[match[1].removeprefix("squirrel_").removesuffix("_total")] = float(match[2])
        return found

    def cpu_seconds(self) -> float:
        """What the process has used of the cores since its start: the figure that other load on the machine leaves alone."""
        ticks = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> tuple[float, float]:
        """(resident now, resident at its highest), MiB, as the kernel counts."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        resident, highest = (int(re.search(rf"{key}:\s+(\d+)", status)[1]) for key in ("VmRSS", "VmHWM"))  # type: ignore[index]
        return resident / 1024, highest / 1024


_METRIC = re.compile(r'(\w+)(?:\{service="\w+"\})? ([0-9.e+-]+)')


@dataclass(slots=True)
class Stage:
    """A broker with its topics, and what was started on it."""

    folder: Path
    settings: Settings
    topics: Topics
    given: dict[str, str] = field(
        default_factory=dict
    )  # settings of this benchmark's own, as its services' environment
    services: dict[str, Service] = field(default_factory=dict)

    @property
    def brokers(self) -> str:
        return self.settings.kafka

    @property
    def partitions(self) -> int:
        return self.settings.partitions

    async def start(self, *names: str, wait_ready: bool = True) -> list[Service]:
        """Start services side by side; returns when all are ready, the gateway with all it stands in front of.

        `engine-a` is an engine whose worker name is `a`: several of one kind need names.
        """
        started = [self._service(name, wait_ready=wait_ready) for name in names]
        await asyncio.gather(*(service.supervisor.start() for service in started))
        for service in started:
            service.lost = asyncio.ensure_future(service.supervisor.wait())
        if wait_ready and "gateway" in names:
            ready = http_ready("127.0.0.1", self.settings.port)
            await self.until(ready, lambda answer: answer, READY_SECONDS_MAX, "the gateway sees no engine")
        note(f"running: {', '.join(self.services)}")
        return started

    def _service(self, name: str, *, wait_ready: bool) -> Service:
        port = free_port()
        lines: list[str] = []
        child = Child(
            name=name,
            argv=[sys.executable, "-m", "squirrel", name.partition("-")[0]],
            environment={
                **environment_of(self.settings, port),
                **self.given,
                "SQUIRREL_WORKER": name.partition("-")[2],
            },
            ready=http_ready("127.0.0.1", port, "/readyz" if wait_ready else "/healthz"),
        )
        supervisor = Supervisor(
            [child],
            clock=SystemClock(),
            forward=lambda _, line: lines.append(line),
            policy=RestartPolicy(crashes_max=1),
            ready_seconds_max=READY_SECONDS_MAX,
        )
        service = self.services[name] = Service(name, port, supervisor, lines)
        return service

    async def kill(self, name: str) -> None:
        """SIGKILL; it is not started again."""
        service = self.services.pop(name)
        if service.lost is not None:
            service.lost.cancel()
        os.kill(service.pid, signal.SIGKILL)
        await service.supervisor.stop()

    async def stop(self, *names: str) -> None:
        """Stop these, as `squirrel dev` would; without names all, in its order."""
        for name in names or sorted(self.services, key=lambda each: STOP_ORDER.get(each, 9)):
            service = self.services.pop(name)
            if service.lost is not None:
                service.lost.cancel()
            await service.supervisor.stop()

    async def until(
        self,
        ask: Callable[[], Awaitable[Any]],
        enough: Callable[[Any], bool],
        seconds_max: float,
        what: str,
        poll_seconds: float = POLL_SECONDS,
    ) -> Any:
        """Ask until the answer is enough; gives it back. Raises with `what` after the time, or when a service ended."""
        deadline = time.monotonic() + seconds_max
        while not enough(answer := await ask()):
            for service in self.services.values():
                if service.lost is not None and service.lost.done():
                    service.lost.result()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} (within {seconds_max:g} s); last answer: {answer!r}\n{self.last_lines()}")
            await asyncio.sleep(poll_seconds)
        return answer

    def last_lines(self) -> str:
        """The newest lines of every service."""
        return "\n".join(f"{name} | {line}" for name, each in self.services.items() for line in each.lines[-8:])

    async def ceiling_topic(self) -> str:
        """A plain topic for a ceiling, with as many partitions as ours; its name."""
        name = self.topics.named("bench.ceiling")
        admin = AIOKafkaAdminClient(bootstrap_servers=self.brokers)
        await admin.start()
        try:
            configs = {"max.message.bytes": "4194304"}
            await admin.create_topics([NewTopic(name, self.partitions, 1, topic_configs=configs)])
        finally:
            await admin.close()
        return name

    @asynccontextmanager
    async def offsets(self) -> AsyncIterator[Callable[[str], Awaitable[int]]]:
        """Gives `ends(topic)`: the sum of the topic's end offsets now."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.brokers, enable_auto_commit=False)
        await consumer.start()

        async def ends(topic: str) -> int:
            parts = [TopicPartition(topic, number) for number in range(self.partitions)]
            return sum((await consumer.end_offsets(parts)).values())

        try:
            yield ends
        finally:
            await consumer.stop()

    @asynccontextmanager
    async def group(self, service: str) -> AsyncIterator[Callable[[str], Awaitable[int]]]:
        """Gives `committed(topic)`: the sum of the offsets that the service's group has committed."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.brokers)
        await admin.start()

        async def committed(topic: str) -> int:
            found = await admin.list_consumer_group_offsets(f"{self.settings.topic_prefix}squirrel-{service}")
            return sum(max(each.offset, 0) for part, each in found.items() if part.topic == topic)

        try:
            yield committed
        finally:
            await admin.close()


@asynccontextmanager
async def stage(**settings_given: object) -> AsyncIterator[Stage]:
    """A broker and its topics in a fresh directory; settings of the services by name where a benchmark needs another."""
    folder = Path(tempfile.mkdtemp(prefix="squirrel-bench-"))
    try:
        async with _broker(folder) as (brokers, prefix):
            flags = {
                "kafka": brokers,
                "topic_prefix": prefix,
                "data_dir": str(folder),
                "port": free_port(),
                "internal_token": "bench",
                **settings_given,
            }
            settings, _ = load(flags, environment={}, env_file=folder / "none", profile=PROFILE)
            await apply_topics(settings)
            given = {f"SQUIRREL_{name.upper()}": str(value) for name, value in settings_given.items()}
            on = Stage(folder, settings, Topics(settings.topic_prefix), given)
            try:
                yield on
            except BaseException:
                note(on.last_lines())
                raise
            finally:
                await on.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _broker(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """(bootstrap servers, topic prefix): a broker of our own, or the one that was named with topics of our own."""
    named = existing_kafka.get()
    if named is not None:
        yield named, f"bench-{uuid.uuid4().hex[:8]}."
        return
    async with EmbeddedKafka(folder / "kafka", environment=os.environ) as kafka:
        yield kafka.bootstrap, ""


async def http_get(port: int, path: str) -> bytes:
    """The body of a GET to 127.0.0.1."""
    async with asyncio.timeout(ASK_SECONDS_MAX):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
            return (await reader.read()).partition(b"\r\n\r\n")[2]
        finally:
            writer.close()

"""Everything as processes: an embedded broker with a listener and a proxy for each member, the services, Cassandra."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from pathlib import Path
from typing import Final

from squirrel.runtime.local.cassandra import EmbeddedCassandra
from squirrel.runtime.local.jvm import ServerDied, free_port
from squirrel.runtime.local.kafka import EmbeddedKafka, Listener
from squirrel.runtime.settings import load
from squirrel.runtime.topics import apply_topics
from squirrel.wire.topics import Topics
from tests.chaos.http import Http, NoAnswer
from tests.chaos.machine import IN_NAMESPACE, small_disk
from tests.chaos.plan import ENGINES, SERVICES
from tests.chaos.proxy import Proxy
from tests.chaos.service import Service
from tests.eventually import eventually

PARTITIONS: Final = 8
READY_SECONDS_MAX: Final = 120.0
BROKER_STARTS_MAX: Final = 5
GROUPS: Final = ("engine", "executor", "intake", "recorder")
_METRIC = re.compile(rb"squirrel_([a-z_]+?)(?:_total)?(?:\{[^}]*\})? ([0-9.e+-]+)")


class Installation:
    """`start()`, then `services`, `proxies`, `kafka`, `cassandra` are there to be hurt."""

    def __init__(self, folder: Path, *, with_cassandra: bool, session_seconds: float) -> None:
        self.folder = folder
        self.session_seconds = session_seconds
        self.topics = Topics("")
        self.proxies: dict[str, Proxy] = {}
        self.services: dict[str, Service] = {}
        self.gateway_port = free_port()
        self.cassandra: EmbeddedCassandra | None = None
        if with_cassandra:
            self.cassandra = EmbeddedCassandra(folder / "cassandra", free_port(), environment=os.environ)
        self.kafka = EmbeddedKafka(folder / "kafka", environment=os.environ)
        self.logs = folder / "logs"
        self.extra_environment: dict[str, dict[str, str]] = {}  # by service

    async def start(self) -> None:
        """Returns when a schedule sent now would fire."""
        self.logs.mkdir(parents=True, exist_ok=True)
        listeners: dict[str, Listener] = {}
        for name in SERVICES:
            proxy = self.proxies[name] = Proxy(free_port())
            await proxy.start()
            listeners[name.upper().replace("-", "")] = Listener(proxy.target_port, advertised_port=proxy.port)
        self.kafka = EmbeddedKafka(
            self.folder / "kafka",
            environment=os.environ,
            listeners=listeners,
            properties={"num.network.threads": "1"},  # of each listener
        )
        databases = [self.cassandra.start()] if self.cassandra is not None else []
        await asyncio.gather(self.kafka.start(), *databases)
        settings, _ = load(
            {"kafka": self.kafka.bootstrap, "partitions": PARTITIONS, "data_dir": self.folder},
            env_file=self.folder / ".env",
        )
        await apply_topics(settings)
        if IN_NAMESPACE in os.environ:
            small_disk(self.store_of("engine-2"))
        for name in SERVICES:
            self.services[name] = self._service(name)
            self.services[name].begin()
        await self.until_ready(READY_SECONDS_MAX)

    def _service(self, name: str) -> Service:
        verb = name.partition("-")[0]
        port = free_port()
        history = "sqlite:history.db"
        if self.cassandra is not None:
            history = f"cassandra://{self.cassandra.address}/squirrel"
        ours = {
            "SQUIRREL_KAFKA": f"127.0.0.1:{self.proxies[name].port}",
            "SQUIRREL_PARTITIONS": str(PARTITIONS),
            "SQUIRREL_PORT": str(self.gateway_port),
            "SQUIRREL_DATA_DIR": str(self.data_dir),
            "SQUIRREL_HISTORY": history,
            "SQUIRREL_WORKER": name,
            "SQUIRREL_TARGETS_ALLOW_CIDRS": "127.0.0.0/8",
            "SQUIRREL_INTERNAL_PORT": str(port),
            "SQUIRREL_SESSION_TIMEOUT_SECONDS": str(self.session_seconds),
            "SQUIRREL_HEARTBEAT_SECONDS": str(min(2.0, self.session_seconds / 4)),
            "SQUIRREL_LOG_FORMAT": "json",
        }
        return Service(
            name, verb, {**os.environ, **ours, **self.extra_environment.get(name, {})}, self.logs / f"{name}.log", port
        )

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def store_of(self, engine: str) -> Path:
        """Where an engine keeps its copy of the timeline."""
        return self.data_dir / "timeline" / f"{engine}-engine"

    async def until_ready(self, seconds_max: float) -> None:
        """All services say that they would do their job now, and every partition has one owner."""

        async def ready() -> bool | None:
            answers = await asyncio.gather(*(self._answers_ready(service.port) for service in self.services.values()))
            return all(answers) and await self._answers_ready(self.gateway_port) and await self.owned() == PARTITIONS

        await eventually(ready, seconds_max, "every service is ready")  # type: ignore[arg-type]

    async def _answers_ready(self, port: int) -> bool:
        http = Http(port, 2)
        try:
            return (await http.call("GET", "/readyz")).status == 200
        except NoAnswer:
            return False
        finally:
            http.close()

    async def owned(self) -> int:
        """How many partitions the engines say they own, added up."""
        found = await asyncio.gather(*(self.metrics(self.services[name]) for name in ENGINES))
        return int(sum(each.get("partitions", 0) for each in found))

    async def metrics(self, service: Service) -> dict[str, float]:
        """The service's own counters and gauges; empty when it does not answer."""
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
                try:
                    writer.write(b"GET /metrics HTTP/1.0\r\nhost: squirrel\r\n\r\n")
                    text = await reader.read(1 << 20)
                    while more := await reader.read(1 << 20):
                        text += more
                finally:
                    writer.close()
        except (OSError, TimeoutError, EOFError):
            return {}
        found: dict[str, float] = {}
        for line in text.splitlines():
            match = _METRIC.fullmatch(line)
            if match is not None:
                found[match.group(1).decode()] = float(match.group(2))
        return found

    async def broker_kill(self) -> None:
        pid = self.kafka.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        await self.kafka.wait()

    async def broker_start(self) -> None:
        """Until it answers: on a machine that others load, a broker that was killed may need more than its start is given."""
        for _ in range(BROKER_STARTS_MAX - 1):
            with contextlib.suppress(ServerDied):
                await self.kafka.start()
                return
        await self.kafka.start()

    async def heal(self) -> None:
        """Whatever a fault left behind: everything runs, nothing is cut, nothing is stopped."""
        for proxy in self.proxies.values():
            proxy.heal()
        for service in self.services.values():
            service.wrapper.clear()
            service.send(signal.SIGCONT)
            await service.up()
        pids = [self.kafka.pid, self.cassandra.pid if self.cassandra is not None else None]
        for pid in pids:
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        await self.broker_start()
        if self.cassandra is not None:
            await self.cassandra.start()

    async def stop_services(self, *names: str) -> None:
        await asyncio.gather(*(self.services[name].end() for name in names if name in self.services))

    async def stop(self) -> None:
        """Ends every process that was started. Safe after a failure."""
        await self.stop_services(*SERVICES)
        await self.kafka.stop(5)
        if self.cassandra is not None:
            await self.cassandra.stop()
        for proxy in self.proxies.values():
            await proxy.stop()

"""How it is going: counters, lateness, probes, metrics."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.deps import GatewayDeps
from squirrel.gateway.kafka_writer import KafkaWriter
from squirrel.gateway.owner_link import OwnerLink
from squirrel.gateway.producing import CommandLog
from squirrel.model.errors import Unavailable
from squirrel.model.instants import format_instant
from squirrel.recurrence import tzdata_version
from squirrel.wire.documents import answer_json
from squirrel.wire.owner_link import GetStats, Stats

PERCENTILES: Final = (50, 90, 99)
PROBE_SECONDS_MAX: Final = 0.5  # what is not known by then counts as not ready
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Meters:
    """What /metrics says of the gateway itself."""

    def __init__(self, registry: CollectorRegistry, log: CommandLog, link: OwnerLink) -> None:
        self.registry = registry
        self._requests = Counter(
            "squirrel_gateway_requests", "Calls answered, by method and status", ["method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "squirrel_gateway_request_seconds", "Time from a call's head to the end of its answer", ["method"],
            buckets=_BUCKETS, registry=registry,
        )  # fmt: skip
        Gauge(
            "squirrel_gateway_commands_waiting", "Commands Kafka has not acknowledged yet", registry=registry
        ).set_function(lambda: log.waiting)
        Gauge("squirrel_gateway_partitions_owned", "Partitions whose owner is known", registry=registry).set_function(
            lambda: link.known_partitions
        )
        self._children: dict[tuple[str, int], Any] = {}
        self._timers: dict[str, Any] = {}

    def answered(self, method: str, status: int, seconds: float) -> None:
        """Notes one call; methods nobody knows count as one."""
        name = method if method in _METHODS else "other"
        counter = self._children.get((name, status))
        if counter is None:
            counter = self._children[name, status] = self._requests.labels(name, str(status))
        counter.inc()
        timer = self._timers.get(name)
        if timer is None:
            timer = self._timers[name] = self._seconds.labels(name)
        timer.observe(seconds)


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Status:
    """Handlers of stats, probes and metrics."""

    def __init__(self, deps: GatewayDeps, link: OwnerLink, writer: KafkaWriter, meters: Meters) -> None:
        self._deps = deps
        self._link = link
        self._writer = writer
        self._meters = meters
        self._began = deps.clock.monotonic()

    async def stats(self, call: Call) -> Response:
        """GET /api/v1/stats."""
        answers, counts = await asyncio.gather(
            self._link.ask_all(GetStats()), self._deps.history.counts(call.namespace)
        )
        parts = [each for each in answers if isinstance(each, Stats)]
        if len(parts) != len(answers):
            raise Unavailable("an engine did not answer in time; send again", 1)
        values = summed(parts)
        document: dict[str, Any] = {
            "engine": values,
            "backlog": {
                "schedules": values.get("rows", 0),
                "overdue_ms_max": values.get("overdue_ms_max", 0),
                "commands_waiting": self._meters_waiting(),
            },
            "lateness_ms": lateness([sample for part in parts for sample in part.lateness_ms]),
            "runs": {"by_state": counts.by_state, "complete": counts.complete},
            "gateway": {
                "version": self._deps.settings.version,
                "tzdata": tzdata_version(),
                "uptime_seconds": round(self._deps.clock.monotonic() - self._began, 3),
            },
        }
        if self._deps.settings.kafka_bootstrap is not None:
            document["kafka"] = {"bootstrap": self._deps.settings.kafka_bootstrap}
        return _json(document)

    def _meters_waiting(self) -> int:
        return int(self._meters.registry.get_sample_value("squirrel_gateway_commands_waiting") or 0)

    async def alive(self, call: Call) -> Response:
        """GET /healthz: the process answers."""
        return _json({"status": "ok"})

    async def health(self, call: Call) -> Response:
        """GET /health."""
        # `time` and `timestamp` are two seeds' names for the same; `status` and `service` are the third's.
        now = format_instant(self._deps.clock.now_ms())
        version = self._deps.settings.version
        return _json({"status": "healthy", "service": "squirrel", "version": version, "time": now, "timestamp": now})

    async def ready(self, call: Call) -> Response:
        """GET /readyz: whether a schedule sent now would be stored, applied and fired."""
        checks = {
            "kafka": await self._kafka(),
            "definitions": await self._definitions(),
            "engine": await self._engine(),
        }
        missing = {name: why for name, why in checks.items() if why}
        if missing:
            return _json({"status": "unavailable", "missing": missing}, 503, {"Retry-After": "1"})
        return _json({"status": "ready"})

    async def _kafka(self) -> str:
        try:
            await self._writer.start()
        except Unavailable as error:
            return str(error)
        return ""

    async def _definitions(self) -> str:
        try:
            async with asyncio.timeout(PROBE_SECONDS_MAX):
                await self._deps.definitions.ready()
        except TimeoutError:
            return "the definitions topic is still being read"
        return ""

    async def _engine(self) -> str:
        partitions = self._deps.settings.partitions
        try:
            if self._link.known_partitions < partitions:
                await self._link.refresh()
            known = self._link.known_partitions
            if known < partitions:
                return f"{partitions - known} of {partitions} partitions have no owner"
            answers = await self._link.ask_all(GetStats())
        except Unavailable as error:
            return str(error)
        owned = summed([each for each in answers if isinstance(each, Stats)]).get("partitions", 0)
        return (
            "" if owned >= partitions else f"{partitions - int(owned)} of {partitions} partitions are being recovered"
        )

    async def metrics(self, call: Call) -> Response:
        """GET /metrics, for Prometheus."""
        return Response(
            generate_latest(self._meters.registry), 200, media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    async def front(self, call: Call) -> Response:
        """GET /: for a browser the way to the page, for anyone else what the Redis seed's clients look for at their start."""
        if "text/html" in (call.header(b"accept") or ""):
            return Response(status_code=307, headers={"Location": "/docs", "Vary": "Accept"})
        return _json({"data": "Scheduler service is running.", "status": 200}, headers={"Vary": "Accept"})


def summed(parts: list[Stats]) -> dict[str, float]:
    """Counters and gauges of all owners: added up, the greatest of those whose name ends in `_max`."""
    values: dict[str, float] = {}
    for part in parts:
        for name, value in part.values.items():
            values[name] = max(values.get(name, value), value) if name.endswith("_max") else values.get(name, 0) + value
    return values


def lateness(samples: list[int]) -> dict[str, int | None]:
    """Nearest-rank percentiles of a recent sample of started - due, milliseconds."""
    ordered = sorted(samples)
    found: dict[str, int | None] = {"samples": len(ordered)}
    for percent in PERCENTILES:
        found[f"p{percent}"] = ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None
    found["max"] = ordered[-1] if ordered else None
    return found


def _json(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(answer_json(document), status, headers, "application/json")

"""Where the twins are put in: names in the product's modules that stand for Kafka, a network or a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from squirrel.engine import owner as engine_owner
from squirrel.engine import parts as engine_parts
from squirrel.executor import reported
from squirrel.model.clock import Clock
from squirrel.runtime import topics
from squirrel.runtime.services import engine, executor, intake, parts, recorder
from squirrel.stores.history import HistoryBatch
from squirrel.stores.open import open_history
from squirrel.streams import tail, watchdog, writer
from squirrel.streams.timeline import recovery
from squirrel.streams.timeline.store import TimelineStore
from tests.simulation.clients import Admin, Consumer, Producer, take
from tests.simulation.loop import CURRENT, STAGE, pause
from tests.simulation.member import MemberApp
from tests.simulation.target import Target

SERVICES = {"engine": engine, "executor": executor, "intake": intake, "recorder": recorder}


class PointedStore(TimelineStore):
    """The timeline store, with a place to die on either side of its writes."""

    def apply(self, partition: int, changes: Any, **given: Any) -> None:
        process = CURRENT.get()
        kept = list(changes)
        if process is not None and kept:
            process.point("store apply before")
        super().apply(partition, kept, **given)
        if process is not None and kept:
            process.point("store apply after")


class PointedHistory:
    """The history store, likewise."""

    def __init__(self, url: str) -> None:
        self.store: Any = open_history(url)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def write(self, batch: HistoryBatch) -> None:
        process = CURRENT.get()
        assert process is not None
        process.point("history write before")
        await self.store.write(batch)
        process.point("history write after")


class ThreadlessWatchdog(watchdog.Watchdog):
    """Its thread is a task that looks as often; a process that is stopped stops it too."""

    def start(self) -> None:
        process = CURRENT.get()
        assert process is not None
        self._beat_at = self._clock.monotonic()
        process.run(self._beat())
        process.run(self._look())

    async def stop(self) -> None:
        self._stopped.set()

    async def _look(self) -> None:
        process = CURRENT.get()
        assert process is not None
        await pause(process.world.draw() * watchdog.CHECK_SECONDS)
        while not self._stopped.is_set():
            reason = self._reason(self._clock.monotonic())
            if reason is not None:
                process.world.exit(process, f"watchdog: {reason}")
                return
            await pause(watchdog.CHECK_SECONDS)


def _watchdog_of(
    context: Any, app: Any, *, lane_seconds: float = watchdog.LANE_SECONDS_MAX, silent_seconds: float | None = None
) -> ThreadlessWatchdog:
    dog = ThreadlessWatchdog(context.clock, lambda _: None, stall_seconds=context.settings.session_timeout_seconds / 2)
    dog.watch_app(app, lane_seconds=lane_seconds, silent_seconds=silent_seconds)
    return dog


async def _cluster_id(brokers: str, client_id: str) -> str:
    """Kafka's id of the cluster."""
    del brokers, client_id
    return "simulated"


class Door:
    """The internal door: remembers who answers."""

    def __init__(self, name: str) -> None:
        self.url = f"http://{name}"
        self.answer: Callable[[bytes], Any] | None = None

    def answer_asks(self, answer: Callable[[bytes], Any]) -> None:
        self.answer = answer


class Quiet:
    """A log that is kept in memory."""

    def __init__(self, process: Any) -> None:
        self._process = process

    def info(self, message: str, **values: object) -> None:
        self._process.world.said(self._process, message, values)

    warning = error = info


def _staged(name: str, stage: str) -> Any:
    """The owner's method, with the name of its stage for the places within."""
    method = getattr(engine_owner.Owner, name)

    async def staged(self: Any, *given: Any) -> Any:
        STAGE.set(stage)  # of this task, whose next batch says its own
        return await method(self, *given)

    return staged


def context_of(process: Any, settings: Any) -> Any:
    """What `runtime/service.py` gives every service."""
    return SimpleNamespace(
        name=process.role,
        settings=settings,
        clock=_clock(process),
        log=Quiet(process),
        metrics=SimpleNamespace(observe_lateness_ms=lambda lateness_ms: None),
        door=Door(process.name),
        crash=lambda error: process.world.crashed(process, error),
        loop=asyncio.get_running_loop(),
    )


def _clock(process: Any) -> Clock:
    clock: Clock = process.clock
    return clock


def build(process: Any, settings: Any) -> Any:
    """The service of this process, wired by the product itself."""
    context = context_of(process, settings)
    service = SERVICES[process.role].build(context)
    process.door = context.door
    return service


@contextmanager
def twins_in_place(more: Mapping[tuple[Any, str], Any] | None = None) -> Iterator[None]:
    """For the time of a simulation. `more`: (module or class, name) -> what stands there instead; the mutants use it."""
    replaced: dict[tuple[Any, str], Any] = {
        (writer, "AIOKafkaProducer"): Producer,
        (writer, "take"): take,
        (recovery, "cluster_id"): _cluster_id,
        (recovery, "LeanConsumer" if hasattr(recovery, "LeanConsumer") else "AIOKafkaConsumer"): Consumer,
        (reported, "AIOKafkaConsumer"): Consumer,
        (tail, "AIOKafkaConsumer"): Consumer,
        (engine, "TimelineStore"): PointedStore,
        (topics, "TopicsAdmin"): Admin,
        (executor, "HttpCaller"): Target,
        (executor, "KafkaCaller"): Target,
        (recorder, "open_history"): PointedHistory,
        (parts, "watchdog_of"): _watchdog_of,
        (engine_parts, "LATENESS_SAMPLE_MAX"): 16,
        # A recovering partition's table of seen keys takes 8 MiB; a simulated one has a few hundred.
        (recovery, "SEEN_SLOTS"): 1 << 12,
    }
    for name, stage in (
        ("adopt", "adoption"),
        ("take_commands", "commands"),
        ("take_results", "results"),
        ("fire", "firing"),
    ):
        replaced[engine_owner.Owner, name] = _staged(name, stage)
    for module in SERVICES.values():
        replaced[module, "lane_app"] = MemberApp
        replaced[module, "watchdog_of"] = _watchdog_of
    replaced.update(more or {})
    former = {place: getattr(*place) for place in replaced}
    for (owner, name), value in replaced.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for (owner, name), value in former.items():
            setattr(owner, name, value)

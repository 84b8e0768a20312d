"""The life of one service process: start, say when it is ready, stop on a signal, end at once when something is wrong.

Exit code 0 after SIGTERM or SIGINT, 1 after a crash (the reason is the last log line), 2 for settings that stop the start.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import uvloop

from squirrel.model.clock import Clock
from squirrel.model.errors import SettingsError
from squirrel.runtime.clock import SystemClock
from squirrel.runtime.internal_door import InternalDoor
from squirrel.runtime.logs import start_logging
from squirrel.runtime.memory import keep_freed_memory
from squirrel.runtime.metrics import Metrics
from squirrel.runtime.restarts import STATUS_UNUSABLE
from squirrel.runtime.settings import Settings

STOP_SECONDS_MAX = 4.0  # less than the five that the supervisor grants


class Service(Protocol):
    """What a service verb builds. `start` returns when it works; `stop` drains, commits and leaves its group."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def ready(self) -> str | None:
        """None when it would do its job now, else the reason why not."""
        ...

    def values(self) -> Mapping[str, float]:
        """Counters and gauges, named as in `metrics.METRICS`."""
        ...


@dataclass(slots=True)
class Context:
    """What every service gets: settings, clock, log, its door, and the way to end the process."""

    name: str
    settings: Settings
    clock: Clock
    log: Any
    metrics: Metrics
    door: InternalDoor
    stopping: asyncio.Event
    service: Service | None = None
    crashes: list[str] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def crash(self, error: BaseException | str) -> None:
        """End the process: going on could lose or repeat work. Safe to call from any task, and from another thread."""
        reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        self.crashes.append(reason)
        self.log.error(
            "ending the process", reason=reason, exc_info=error if isinstance(error, BaseException) else None
        )
        self.loop.call_soon_threadsafe(self.stopping.set)


Build = Callable[[Context], Service]


def run_service(name: str, settings: Settings, build: Build) -> int:
    """Run one service until a signal or a crash; the exit code."""
    keep_freed_memory()
    # What exists after the imports lives for ever: leaving it out of the collector's rounds takes their pauses off the p99.
    # The rest dies young and by reference count: looking for cycles every 700 objects took a third of the engine's time, and
    # every 100,000 still a tenth, for the batches of eight partitions are more than that.
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000_000, 20, 100)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(name, settings, build))


async def _run(name: str, settings: Settings, build: Build) -> int:
    context = _context(name, settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, context.stopping.set)
    loop.set_exception_handler(lambda _, details: _unexpected(context, details))
    await context.door.start()
    context.log.info("listening", internal=context.door.url)
    try:
        service = build(context)
        context.service = service
        starting = asyncio.ensure_future(service.start())
        stopping = asyncio.ensure_future(context.stopping.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            context.log.info("started")
            await stopping
    except SettingsError as error:
        context.log.error("the settings stop the start", reason=str(error))
        return _left(STATUS_UNUSABLE, await _stop(context))
    except Exception as error:  # noqa: BLE001 - whatever it was, it ends this process with its reason
        context.crash(error)
    stopped = await _stop(context)
    return _left(1, False) if context.crashes else _left(0, stopped)


def _left(status: int, stopped: bool) -> int:
    """The exit code. What could not stop in time must not keep its partitions: the process ends without waiting for threads.

    The consumer's thread is a member of the group as long as it lives: it would be given partitions that nobody works on.
    """
    if not stopped:
        os._exit(status)
    return status


def _context(name: str, settings: Settings) -> Context:
    log = start_logging(name, settings.log_level, settings.log_format)
    holder: list[Context] = []

    def ready() -> str | None:
        service = holder[0].service
        if holder[0].stopping.is_set():
            return "stopping"
        return "starting" if service is None else service.ready()

    def values() -> Mapping[str, float]:
        service = holder[0].service
        return {} if service is None else service.values()

    metrics = Metrics(name, values)
    door = InternalDoor(
        settings.internal_host,
        settings.internal_port,
        ready=ready,
        metrics=metrics.text,
        token=settings.internal_token.get_secret_value(),
    )
    context = Context(name, settings, SystemClock(), log, metrics, door, asyncio.Event())
    holder.append(context)
    return context


async def _stop(context: Context) -> bool:
    """Whether everything stopped, in time and without an error."""
    stopped = False
    context.log.info("stopping")
    try:
        async with asyncio.timeout(STOP_SECONDS_MAX):
            if context.service is not None:
                await context.service.stop()
            await context.door.stop()
        stopped = True
    except TimeoutError:
        context.log.warning("stopped without waiting any longer", seconds=STOP_SECONDS_MAX)
    except Exception as error:  # noqa: BLE001 - it ends anyway; the log keeps the reason
        context.log.warning("stopping met an error", error=repr(error))
    context.log.info("stopped")
    return stopped


def _unexpected(context: Context, details: Mapping[str, Any]) -> None:
    """An exception nobody awaited: logged with all that asyncio knows."""
    context.log.error("unexpected", message=details.get("message"), exc_info=details.get("exception"))

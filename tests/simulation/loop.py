"""An event loop whose time is a number: when nothing is ready it moves to the next timer, and never waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.process import Process

CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)
STAGE: ContextVar[str] = ContextVar("stage", default="")  # of the engine: what its writes belong to


class Stuck(AssertionError):
    """Nothing is ready and no timer runs: somebody waits for what will never come."""


class Killed(BaseException):
    """Ends the step of a process that was killed in it; no `except Exception` of the product may catch it."""


class Turn:
    """A callback on its way to a process that may be dead or stopped when it comes."""

    __slots__ = ("args", "callback", "context", "handle")

    def __init__(self, callback: Callable[..., object], args: tuple[object, ...], context: Context | None) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.handle: asyncio.Handle | None = None


class VirtualLoop(asyncio.BaseEventLoop):
    """A callback belongs to the simulated process in whose context it was scheduled, and runs only while that one does."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self  # the only thing asked of it is `select`
        self._now = 1000.0
        self._clock_resolution = 1e-6  # asyncio's nanosecond is lost in the float when the loop has run for half a year
        self.unexpected: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, details: self.unexpected.append(details))

    # --- what BaseEventLoop needs -----------------------------------------------------------------------------------

    def select(self, timeout: float | None) -> tuple[()]:
        """Called when the loop would wait."""
        if timeout is None:
            raise Stuck("every task waits and no timer runs")
        if timeout > 0:
            scheduled: Any = self._scheduled  # type: ignore[attr-defined]
            self._now = max(self._now, scheduled[0].when())
        return ()

    def _process_events(self, event_list: object) -> None:
        return

    def _write_to_self(self) -> None:
        return

    def time(self) -> float:
        """Seconds since a point before the run."""
        return self._now

    def leap(self, seconds: float) -> None:
        """Time passes at once; timers that were due in between fire once, now."""
        self._now += seconds

    # --- processes --------------------------------------------------------------------------------------------------

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        process = CURRENT.get() if context is None else context.get(CURRENT)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        turn = Turn(callback, args, context)
        if self.is_closed():  # a coroutine of a dead process that is collected after the end
            return asyncio.Handle(process.gate, (turn,), self, context)
        turn.handle = super().call_soon(process.gate, turn, context=context)
        return turn.handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        process = CURRENT.get() if context is None else context.get(CURRENT)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        turn = Turn(callback, args, context)
        turn.handle = handle = super().call_at(when, process.gate, turn, context=context)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """There are no threads: it is done at once."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits it
            future.set_exception(error)
        return future


async def pause(seconds: float) -> None:
    """Lets virtual time pass."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_later(seconds, _wake, future)
    await future


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

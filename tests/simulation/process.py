"""A simulated process: what runs in it stops dead when it is killed, and stands still while it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any

from squirrel.runtime.clock import SystemClock
from tests.simulation.loop import CURRENT, Killed, Turn

NS = 1_000_000_000


class Process:
    """Made by the world. `role` is engine, executor, intake, recorder or client; `name` is stable over restarts."""

    def __init__(self, world: Any, role: str, name: str, number: int) -> None:
        self.world = world
        self.role = role
        self.name = name
        self.number = number  # of the start
        self.dead = False
        self.stopped_at: float | None = None
        self.cut_since: float | None = None  # from the broker
        self.skew_ms = 0  # of its wall clock against the true one
        self.ended_because = ""
        self.clock = ProcessClock(self)
        self._held: list[Turn] = []
        self._tasks: list[asyncio.Task[Any]] = []

    def gate(self, turn: Turn) -> None:
        """Every callback of the process comes through here."""
        if self.dead:
            return
        if self.stopped_at is not None:
            turn.context = turn.context or copy_context()
            self._held.append(turn)
            return
        turn.callback(*turn.args)

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts `work` as a task of this process."""
        context = copy_context()
        context.run(CURRENT.set, self)
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.append(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or self.dead:
            return
        error = task.exception()
        if isinstance(error, Exception):
            self.world.crashed(self, error)

    def kill(self) -> None:
        """kill -9: no task runs another step, nothing is cleaned up."""
        self.dead = True
        self._held.clear()

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped_at = asyncio.get_running_loop().time()

    def go_on(self) -> None:
        """SIGCONT: what became due meanwhile runs now, in order."""
        self.stopped_at = None
        held, self._held = self._held, []
        loop = asyncio.get_running_loop()
        for turn in held:
            loop.call_soon(self._catch_up, turn, context=turn.context)

    @staticmethod
    def _catch_up(turn: Turn) -> None:
        if turn.handle is None or not turn.handle.cancelled():
            turn.callback(*turn.args)

    def point(self, name: str) -> None:
        """A place where the process may die. Raises Killed when this is the place."""
        if self.dead:
            raise Killed
        self.world.at_point(self, name)
        if self.dead:
            raise Killed


class ProcessClock(SystemClock):
    """The product's own judgement of time, over this process's simulated clocks."""

    def __init__(self, process: Process) -> None:
        self._process = process
        super().__init__(wall_ns=self._wall, boot_ns=process.world.boot_ns)

    def _wall(self) -> int:
        found: int = self._process.world.wall_ns() + self._process.skew_ms * 1_000_000
        return found

    def monotonic(self) -> float:
        """Seconds that no one can set."""
        seconds: float = self._process.world.boot_ns() / NS
        return seconds

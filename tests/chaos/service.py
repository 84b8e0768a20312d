"""One process of the installation, started again whenever it ends, as a supervisor of the real world would."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from squirrel.runtime.die_with_parent import die_with_parent

RESTART_SECONDS: Final = 0.5
RESTART_SECONDS_MAX: Final = 2.0
STEADY_SECONDS: Final = 10.0


class Service:
    """`verb` is what is started: `python -m squirrel <verb>`. `lives` counts how often it was."""

    def __init__(self, name: str, verb: str, environment: Mapping[str, str], log: Path, port: int) -> None:
        self.name = name
        self.verb = verb
        self.port = port  # of its health and metrics
        self.log = log
        self.environment = dict(environment)
        self.wrapper: list[str] = []  # before the command of the next starts
        self.lives = 0
        self.started_ns = 0
        self.ended_by_itself: list[tuple[int, int]] = []  # (monotonic ns, status)
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._down.set()
        self._told = False  # the harness has sent a signal that ends it

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def begin(self) -> None:
        self._wanted.set()
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    def send(self, number: signal.Signals) -> None:
        """A signal to the running process; nothing when there is none."""
        pid = self.pid
        if pid is not None:
            self._told = self._told or number in (signal.SIGKILL, signal.SIGTERM)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def down(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends it and keeps it down until `up`."""
        self._wanted.clear()
        self.send(number)
        if number is not signal.SIGKILL:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await self._down.wait()
            self.send(signal.SIGKILL)
        await self._down.wait()

    async def up(self) -> None:
        """Has it started (again); returns when the process runs, not when it is ready."""
        self._wanted.set()
        await self._up.wait()

    async def restarted(self, lives: int) -> None:
        """Returns when it has been started more often than `lives`."""
        while self.lives <= lives:
            self._up.clear()
            await self._up.wait()

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """For good."""
        await self.down(number)
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})

    async def _keep(self) -> None:
        pause = RESTART_SECONDS
        while True:
            await self._wanted.wait()
            began = time.monotonic()
            status = await self._live()
            if not self._told:
                self.ended_by_itself.append((time.monotonic_ns(), status))
            steady = time.monotonic() - began > STEADY_SECONDS
            pause = RESTART_SECONDS if steady or self._told else min(RESTART_SECONDS_MAX, pause * 2)
            await _pause_unless(self._wanted, pause)

    async def _live(self) -> int:
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.wrapper,
                sys.executable,
                "-m",
                "squirrel",
                self.verb,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        self._told = False
        self.lives += 1
        self.started_ns = time.monotonic_ns()
        self._down.clear()
        self._up.set()
        status = await self._process.wait()
        self._up.clear()
        self._down.set()
        return status


async def _pause_unless(wanted: asyncio.Event, seconds: float) -> None:
    """A pause that whoever holds the service down does not wait for."""
    if wanted.is_set():
        await _elapsed(seconds)


def _resolve(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


async def _elapsed(seconds: float) -> None:
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, _resolve, over)
    await over


Told = Callable[[str], None]

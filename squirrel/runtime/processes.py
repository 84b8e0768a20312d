"""The services of `squirrel dev` as operating system processes: started, watched, started again, stopped in order.

Reads: what the children write, line by line, and their readiness.
Promises: `start` returns when all are ready; `wait` returns only when one cannot be kept running; `stop` ends within its
timeout; children end with this process, even when it is killed.
Never: shares memory with a child: a service that loses its mind is ended and starts from the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from squirrel.model.clock import Clock
from squirrel.model.errors import SquirrelError
from squirrel.runtime.child_output import LINES_KEPT, forward_lines
from squirrel.runtime.die_with_parent import die_with_parent
from squirrel.runtime.restarts import GiveUp, RestartPolicy, after_exit

READY_INTERVAL_SECONDS: Final = 0.05
READY_SECONDS_MAX: Final = 60.0
STOP_SECONDS: Final = 3.5  # leaves the embedded Kafka its second within the five of api.md
PROBE_SECONDS_MAX: Final = 2.0
LAST_LINES_SECONDS_MAX: Final = 0.5

Ready = Callable[[], Awaitable[bool]]
Forward = Callable[[str, str], None]


class ServiceLost(SquirrelError):
    """A service cannot be kept running; the message names it, says why and holds its last lines."""


@dataclass(frozen=True, slots=True)
class Child:
    """One service. `environment` is all it gets. `ready` is polled until True; without it, running is ready.

    Children are stopped by ascending `stop_order`, those of one order together: doors first, then what they feed.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    ready: Ready | None = None
    stop_order: int = 0


class Supervisor:
    """`async with Supervisor(children, clock=clock): ...`. `forward(name, line)` gets every line a child writes."""

    def __init__(
        self,
        children: Sequence[Child],
        *,
        clock: Clock,
        forward: Forward | None = None,
        policy: RestartPolicy | None = None,
        ready_seconds_max: float = READY_SECONDS_MAX,
    ) -> None:
        names = [child.name for child in children]
        assert len(set(names)) == len(names), f"names of children differ: {names}"
        shared = (clock, forward or to_stderr, policy or RestartPolicy())
        self._keepers = [Keeper(child, *shared) for child in children]
        self._ready_seconds_max = ready_seconds_max

    async def start(self) -> None:
        """Starts all at once; returns when all are ready. Raises ServiceLost, with nothing left running."""
        for keeper in self._keepers:
            keeper.begin()
        everyone_ready = asyncio.ensure_future(self._everyone_ready())
        someone_lost = asyncio.ensure_future(self.wait())
        try:
            async with asyncio.timeout(self._ready_seconds_max):
                await asyncio.wait({everyone_ready, someone_lost}, return_when=asyncio.FIRST_COMPLETED)
            if someone_lost.done():
                someone_lost.result()
        except TimeoutError:
            late = [keeper for keeper in self._keepers if not keeper.ready.is_set()]
            told = "\n".join(keeper.last_lines() for keeper in late)
            await self.stop()
            names = ", ".join(keeper.child.name for keeper in late)
            raise ServiceLost(f"not ready within {self._ready_seconds_max:g} s: {names}\n{told}") from None
        except BaseException:
            await self.stop()
            raise
        finally:
            everyone_ready.cancel()
            someone_lost.cancel()

    async def wait(self) -> None:
        """Returns never while all services can be kept running; else raises ServiceLost."""
        tasks = [keeper.task for keeper in self._keepers if keeper.task is not None]
        if not tasks:
            return
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self, timeout_seconds: float = STOP_SECONDS) -> None:
        """SIGTERM by stop order, each order an equal share of the time that is left, then SIGKILL. Safe twice or unstarted."""
        orders = sorted({keeper.child.stop_order for keeper in self._keepers})
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        for keeper in self._keepers:
            keeper.stopping.set()
        for position, order in enumerate(orders):
            group = [keeper for keeper in self._keepers if keeper.child.stop_order == order]
            for keeper in group:
                keeper.signal(signal.SIGTERM)
            share = max(0.0, deadline - loop.time()) / (len(orders) - position)
            ends = [asyncio.ensure_future(keeper.ended.wait()) for keeper in group]
            _, late = await asyncio.wait(ends, timeout=share)
            for end in late:
                end.cancel()
        stubborn = [keeper for keeper in self._keepers if not keeper.ended.is_set()]
        if stubborn:  # those that were late for their share have had the rest of the time too
            await asyncio.wait(
                [asyncio.ensure_future(keeper.ended.wait()) for keeper in stubborn],
                timeout=max(0.0, deadline - loop.time()),
            )
        for keeper in self._keepers:
            keeper.signal(signal.SIGKILL)
            await keeper.end()

    def pids(self) -> dict[str, int]:
        """Which process each running child has now."""
        return {keeper.child.name: pid for keeper in self._keepers if (pid := keeper.pid) is not None}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _everyone_ready(self) -> None:
        for keeper in self._keepers:
            await keeper.ready.wait()


class Keeper:
    """Keeps one child running: the life of one `Child` within a Supervisor."""

    def __init__(self, child: Child, clock: Clock, forward: Forward, policy: RestartPolicy) -> None:
        self.child = child
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.ended.set()
        self.stopping = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._clock = clock
        self._forward = forward
        self._policy = policy
        self._process: asyncio.subprocess.Process | None = None
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._was_ready = False

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def begin(self) -> None:
        self.stopping.clear()
        self.task = asyncio.ensure_future(self._keep())

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def end(self) -> None:
        """After the process was told to end: waits for it and for its last lines."""
        task, self.task = self.task, None
        if task is None:
            return
        if self.pid is None:
            task.cancel()  # it was waiting to start again
        with contextlib.suppress(asyncio.CancelledError, ServiceLost):
            await task

    def last_lines(self) -> str:
        return "\n".join(self._lines) or f"({self.child.name} wrote nothing)"

    async def _keep(self) -> None:
        crashes = 0
        while not self.stopping.is_set():
            began = self._clock.monotonic()
            status = await self._run_once()
            if self.stopping.is_set():
                return
            up_seconds = self._clock.monotonic() - began
            if self._was_ready:
                # It can run here; what ends it now may be a Kafka that is away for minutes. It is tried for ever, at the pace.
                crashes = min(crashes, self._policy.crashes_max - 2)
            verdict = after_exit(self._policy, crashes, up_seconds, status)
            if isinstance(verdict, GiveUp):
                raise ServiceLost(f"{self.child.name} {verdict.reason}:\n{self.last_lines()}")
            crashes = verdict.crashes
            self._forward(
                self.child.name,
                f"ended with status {status} after {up_seconds:.1f} s; starts again in {verdict.pause_seconds:g} s",
            )
            await asyncio.sleep(verdict.pause_seconds)

    async def _run_once(self) -> int:
        """One life of the process; its exit status, negative for a signal."""
        self.ended.clear()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *self.child.argv,
                env=dict(self.child.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone: we stop them, in order
                preexec_fn=die_with_parent(),
            )
            assert process.stdout is not None
            watch = asyncio.ensure_future(self._watch_ready())
            if self.stopping.is_set():  # the order to stop came while it was being started
                self.signal(signal.SIGTERM)
            output = asyncio.ensure_future(forward_lines(process.stdout, self._take_line))
            try:
                status = await process.wait()
                await asyncio.wait({output}, timeout=LAST_LINES_SECONDS_MAX)  # a grandchild may hold the pipe open
                return status
            finally:
                output.cancel()
                watch.cancel()
                self.ready.clear()
        except OSError as error:
            raise ServiceLost(f"{self.child.name} could not be started: {error}") from error
        finally:
            self.ended.set()

    def _take_line(self, line: str) -> None:
        self._lines.append(line)
        self._forward(self.child.name, line)

    async def _watch_ready(self) -> None:
        while self.child.ready is not None and not await self.child.ready():  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(READY_INTERVAL_SECONDS)
        self._was_ready = self.child.ready is not None  # a probe has said so
        self.ready.set()


def to_stderr(name: str, line: str) -> None:
    """`engine    | line`, for a terminal."""
    sys.stderr.write(f"{name:<9} | {line}\n")


def http_ready(host: str, port: int, path: str = "/readyz") -> Ready:
    """Ready when `GET path` is answered with 200."""

    async def ask() -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS_MAX):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(
                        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode("ascii")
                    )
                    status = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError):
            return False
        return status.split(b" ")[1:2] == [b"200"]

    return ask

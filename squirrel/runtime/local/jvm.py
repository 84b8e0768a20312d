"""One server in a JVM as a child process: start until it answers, notice an early death, stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from squirrel.model.errors import SquirrelError
from squirrel.runtime.die_with_parent import die_with_parent

PROBE_INTERVAL_SECONDS: Final = 0.05
LOG_LINES_SHOWN: Final = 25
LOG_TAIL_BYTES: Final = 16 * 1024

Probe = Callable[[], Awaitable[bool]]


class ServerDied(SquirrelError):
    """An embedded server did not start, or ended by itself; the message holds its last log lines."""


class JvmServer:
    """A server process. `probe` answers True once it does its job; `logs` are shown, newest last, when it dies early."""

    def __init__(
        self, name: str, command: Sequence[str | Path], folder: Path, probe: Probe, logs: Sequence[Path]
    ) -> None:
        self._name = name
        self._command = [str(part) for part in command]
        self._folder = folder
        self._probe = probe
        self._logs = logs
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The running process, None when there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self, timeout_seconds: float) -> None:
        """Returns when `probe` is True. Raises ServerDied, with no process left behind."""
        with (self._folder / "stdout.log").open("wb") as output:
            # subprocess and not asyncio's: its children need a child watcher per loop, ours outlives a test's loop.
            self._process = subprocess.Popen(  # noqa: ASYNC220 - 3 ms, once
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours to hand on, in order
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it makes two system calls and takes no lock
            )
        try:
            async with asyncio.timeout(timeout_seconds):
                while not await self._probe():
                    if self._process.poll() is not None:
                        raise ServerDied(
                            f"{self._name} ended with status {self._process.returncode}:\n{self.last_lines()}"
                        )
                    await asyncio.sleep(PROBE_INTERVAL_SECONDS)
        except TimeoutError:
            await self.stop(0)
            raise ServerDied(
                f"{self._name} did not answer within {timeout_seconds:g} s:\n{self.last_lines()}"
            ) from None
        except BaseException:
            await self.stop(0)
            raise

    async def stop(self, timeout_seconds: float) -> None:
        """SIGTERM, then SIGKILL after the timeout. Safe twice and when nothing was started."""
        process = self._process
        if process is None:
            return
        if timeout_seconds > 0:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await self.wait()
        if process.poll() is None:
            process.kill()
        process.wait()
        self._process = None

    async def wait(self) -> int:
        """The exit status, once the process has ended."""
        process = self._process
        if process is None:
            return 0
        while (status := process.poll()) is None:  # noqa: ASYNC110 - a child watcher belongs to one loop, see start
            await asyncio.sleep(PROBE_INTERVAL_SECONDS)
        return status

    def last_lines(self) -> str:
        """The end of the logs, for the one who has to find out why."""
        lines: list[str] = []
        for log in (self._folder / "stdout.log", *self._logs):
            if log.exists():
                with log.open("rb") as file:
                    file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
                    text = file.read().decode("utf-8", "replace")
                lines += [line for line in text.splitlines() if line.strip()][-LOG_LINES_SHOWN:]
        return "\n".join(lines) or "(it wrote no log)"


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

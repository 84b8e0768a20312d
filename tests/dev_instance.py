"""`squirrel dev` as a user starts it: a process with a port and a data directory of its own, spoken to from outside only."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from squirrel.runtime.local.jvm import free_port

READY_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 20.0


class DevInstance:
    """`async with DevInstance(folder) as dev: dev.url, dev.kafka`. `lines` is all that it printed."""

    def __init__(
        self, data_dir: Path, *, port: int | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.kafka = ""
        self.lines: list[str] = []
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self) -> None:
        """Returns at the ready line; fails with what was printed when it does not come."""
        self._ready.clear()
        command = [sys.executable, "-m", "squirrel", "dev", "--port", str(self.port), "--data-dir", str(self.data_dir)]
        self._process = await asyncio.create_subprocess_exec(
            *command, env=self._environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        self._reading = asyncio.ensure_future(self._read())
        ended = asyncio.ensure_future(self._process.wait())
        ready = asyncio.ensure_future(self._ready.wait())
        await asyncio.wait({ended, ready}, timeout=READY_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        ready.cancel()
        if not self._ready.is_set():
            await self.stop()
            raise AssertionError("no ready line from squirrel dev:\n" + "\n".join(self.lines[-60:]))

    async def stop(self, number: int = signal.SIGTERM) -> float:
        """Ends it with a signal; the seconds that it took."""
        process = self._process
        if process is None:
            return 0.0
        loop = asyncio.get_running_loop()
        began = loop.time()
        if process.returncode is None:
            process.send_signal(number)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
        except TimeoutError:
            process.kill()
            await process.wait()
        took = loop.time() - began
        if self._reading is not None:
            await self._reading
        self._process = None
        return took

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            self.lines.append(line)
            if line.startswith("kafka "):
                self.kafka = line.split()[1]
            elif line.startswith("ready "):
                self._ready.set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def service_pid(parent: int, service: str) -> int:
    """The child of `squirrel dev` that runs this service."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            status = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if words[-2:-1] == [service.encode()] and int(status.rpartition(")")[2].split()[1]) == parent:
            return int(entry.name)
    raise AssertionError(f"no {service} below {parent}")

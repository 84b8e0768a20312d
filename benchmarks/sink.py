"""The target of the benchmarks as a process: sink.c when there is a C compiler, else sink_asyncio.py."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from squirrel.model.instants import parse_instant
from squirrel.runtime.die_with_parent import die_with_parent

SOURCE = Path(__file__).with_name("sink.c")
ASK_SECONDS_MAX = 30.0


class Received(NamedTuple):
    """One request at the target: when its first byte was read (epoch us), the due instant it named (epoch ms), the run."""

    received_us: int
    due_ms: int
    run: str

    @property
    def lateness_ms(self) -> float:
        return self.received_us / 1000 - self.due_ms


@dataclass(frozen=True, slots=True)
class Sink:
    """A running target. `kind` is c or asyncio."""

    port: int
    kind: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def count(self) -> int:
        """Requests so far."""
        return int(await self._ask("/_count"))

    async def received(self) -> list[Received]:
        """Every request, in the order of arrival."""
        lines = (line.split() for line in (await self._ask("/_log")).decode().splitlines())
        return [Received(int(at), 0 if due == "-" else parse_instant(due), run) for at, due, run in lines]

    async def _ask(self, path: str) -> bytes:
        async with asyncio.timeout(ASK_SECONDS_MAX):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nhost: sink\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                return await reader.readexactly(int(head.rpartition(b"content-length: ")[2]))
            finally:
                writer.close()


@asynccontextmanager
async def sink(folder: Path) -> AsyncIterator[Sink]:
    """A fresh target; it ends with the block, or with this process."""
    kind, argv = await _program(folder)
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, preexec_fn=die_with_parent()
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(ASK_SECONDS_MAX):
            line = await process.stdout.readline()
        yield Sink(int(line.split()[1]), kind)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _program(folder: Path) -> tuple[str, list[str]]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is not None:
        program = folder / "sink"
        if not program.exists():
            process = await asyncio.create_subprocess_exec(compiler, "-O2", "-o", str(program), str(SOURCE))
            if await process.wait() != 0:
                raise RuntimeError(f"{SOURCE.name} could not be compiled with {compiler}")
        return "c", [str(program)]
    return "asyncio", [sys.executable, "-m", "benchmarks.sink_asyncio"]

"""The target of all calls: keeps what arrived and when, and answers by the script that stands in the URL.

`/?f=2&k=reset&l=50`: the first two attempts of each run fail by being reset, the others are answered 200 after 50 ms. So the
script needs no memory and a repeat of an attempt is answered as the attempt was.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from squirrel.model.instants import parse_instant
from tests.chaos.ending import Ending
from tests.judge.ledger import Lines

FAILURES: Final = ("500", "503", "reset", "hang", "drip", "endless")
ENDLESS_BYTES: Final = b"x" * 16_384
FLUSH_LINES: Final = 500
LATENESS_KEPT: Final = 10_000


class ScriptedTarget:
    """`await target.start()`; `url(...)` is where to call; `received` counts; `close()` writes what is left."""

    def __init__(self, path: Path, ending: Ending) -> None:
        self.port = 0
        self.ending = ending
        self.received = 0
        self.last_ns = 0
        self.late_ms: deque[int] = deque(maxlen=LATENESS_KEPT)  # of the newest first attempts
        self.called: set[str] = set()  # schedule ids
        self.open: dict[int, dict[str, Any]] = {}  # calls that nobody has answered or given up yet
        self._lines = Lines(path)
        self._buffer: list[dict[str, Any]] = []
        self._server: asyncio.Server | None = None
        self.connections: set[_Connection] = set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    def url(self, *, fails: int = 0, kind: str = "500", latency_ms: int = 0) -> str:
        script = f"?f={fails}&k={kind}" if fails else "?f=0"
        return f"http://127.0.0.1:{self.port}/{script}" + (f"&l={latency_ms}" if latency_ms else "")

    def begun(self, headers: dict[bytes, bytes], body: bytes) -> dict[str, Any]:
        """A call has been received whole."""
        self.received += 1
        self.last_ns = time.monotonic_ns()
        due_ms = parse_instant(headers[b"squirrel-scheduled-for"].decode())
        wall_ms = time.time_ns() // 1_000_000
        self.late_ms.append(wall_ms - due_ms)
        call = {
            "mono_ns": self.last_ns,
            "wall_ms": wall_ms,
            "run": headers.get(b"webhook-id", b"").decode(),
            "attempt": int(headers.get(b"squirrel-attempt", b"0")),
            "schedule_id": headers.get(b"squirrel-schedule-id", b"").decode(),
            "due_ms": due_ms,
            "body": orjson.loads(body) if body else None,
            "content": hashlib.blake2b(body, digest_size=8).hexdigest(),
            "status": None,
            "ended_ns": None,
        }
        self.open[id(call)] = call
        self.called.add(str(call["schedule_id"]))
        return call

    def ended(self, call: dict[str, Any], status: int | None) -> None:
        """The answer is written, or the connection is gone."""
        if self.open.pop(id(call), None) is not None:
            call["status"], call["ended_ns"] = status, time.monotonic_ns()
            self._buffer.append(call)
            if len(self._buffer) >= FLUSH_LINES:
                self.flush()

    def flush(self) -> None:
        buffer, self._buffer = self._buffer, []
        if buffer:
            self._lines.write_all(buffer)

    def close(self) -> None:
        """Ends all connections and writes the calls that are still open with no end."""
        if self._server is not None:
            self._server.close()
        left = list(self.open.values())
        self.open.clear()
        for connection in list(self.connections):
            connection.end()
        self._buffer.extend(left)
        self.flush()
        self._lines.close()


class _Connection(asyncio.Protocol):
    """One connection of an executor: one call at a time, kept alive."""

    def __init__(self, target: ScriptedTarget) -> None:
        self._target = target
        self._transport: Any = None
        self._bytes = b""
        self._call: dict[str, Any] | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._target.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._target.connections.discard(self)
        if self._task is not None:
            self._task.cancel()
        if self._call is not None:
            self._target.ended(self._call, None)

    def end(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        head, separator, rest = self._bytes.partition(b"\r\n\r\n")
        if not separator:
            return
        first, *lines = head.split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        length = int(headers.get(b"content-length", b"0"))
        if len(rest) < length:
            return
        self._bytes = rest[length:]
        self._call = self._target.begun(headers, rest[:length])
        script = dict(parse_qsl(first.split(b" ")[1].partition(b"?")[2].decode()))
        self._answer(script, self._call["attempt"])

    def _answer(self, script: dict[str, str], attempt: int) -> None:
        failing = attempt <= int(script.get("f", "0"))
        kind = script.get("k", "500") if failing else ""
        latency_ms = int(script.get("l", "0"))
        if kind == "reset":
            self._done(None)
            self._transport.abort()
        elif kind in ("hang", "drip", "endless"):
            self._task = asyncio.get_running_loop().create_task(self._misbehave(kind))
        elif latency_ms and not failing:
            asyncio.get_running_loop().call_later(latency_ms / 1000, self._say, 200)
        else:
            self._say(int(kind) if failing else 200)

    def _say(self, status: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\nok" % status)
        self._done(status)

    def _done(self, status: int | None) -> None:
        if self._call is not None:
            self._target.ended(self._call, status)
            self._call = None

    async def _misbehave(self, kind: str) -> None:
        """Until the caller hangs up: nothing, or a byte at a time, or without an end. 500: a cut body is no success."""
        if kind != "hang":
            self._transport.write(b"HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = ENDLESS_BYTES if kind == "endless" else b"x"
        while kind != "hang" and not self._target.ending.over:
            self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await self._target.ending.pause(0.05)

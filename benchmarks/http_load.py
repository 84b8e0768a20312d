"""HTTP load from a process of its own: raw asyncio connections, requests made beforehand, one at a time on each (no pipelining).

    await drive(folder, Load(port=..., requests=[...], connections=64)) -> Driven

As a program it reads one JSON line (Order) from stdin and prints one (Driven).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.figure import percentile
from squirrel.model.instants import format_instant
from squirrel.runtime.die_with_parent import die_with_parent

LEAD_MS = 1000  # before the first paced request, for the connections to be made


@dataclass(frozen=True, slots=True)
class Order:
    """What a load process does. `path` holds requests, each after its 4-byte length; they are repeated up to `count`.

    `rate_per_s`: one request at each due instant, carrying `squirrel-scheduled-for`, instead of as fast as answers come.
    """

    port: int
    path: str
    count: int
    connections: int
    rate_per_s: int = 0
    seconds_max: float = 120.0


@dataclass(frozen=True, slots=True)
class Driven:
    """What came of it: from the first request to the last answer."""

    requests: int
    seconds: float
    statuses: dict[str, int]
    answer_ms_p50: float
    answer_ms_p99: float
    last_body: str  # of the last answer, cut

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds


async def drive(folder: Path, requests: Sequence[bytes], *, port: int, count: int, **more: float) -> Driven:
    """Run a load process to its end."""
    path = folder / "requests"
    path.write_bytes(b"".join(len(request).to_bytes(4, "big") + request for request in requests))
    order = Order(port=port, path=str(path), count=count, **more)  # type: ignore[arg-type]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.http_load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=die_with_parent(),
    )
    try:
        async with asyncio.timeout(order.seconds_max + 30):
            out, _ = await process.communicate(json.dumps(asdict(order)).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the load on port {port} ended with status {process.returncode}")
    return Driven(**json.loads(out))


def request(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """The bytes of one request."""
    kind = "content-type: application/json\r\n" if body else ""
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{kind}{headers}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection(asyncio.Protocol):
    """Sends a request, waits for its whole answer, then says so."""

    def __init__(self, load: LoadRun) -> None:
        self._load = load
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class

    def send(self, data: bytes) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = buffer[:end].lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(buffer) < end + 4 + size:
            return
        self._buffer = b""
        self._load.answered(self, buffer[9:12], time.perf_counter() - self._sent_at, buffer[end + 4 :])

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(exc)


class LoadRun:
    """One order carried out."""

    def __init__(self, order: Order, requests: Iterator[bytes]) -> None:
        self._order = order
        self._requests = requests
        self._left = order.count
        self._statuses: Counter[bytes] = Counter()
        self._seconds: list[float] = []
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        self._last_body = b""

    def answered(self, connection: Connection, status: bytes, seconds: float, body: bytes) -> None:
        self._statuses[status] += 1
        self._seconds.append(seconds)
        self._left -= 1
        if not self._left:
            self._last_body = body
            if not self._done.done():
                self._done.set_result(None)
        elif self._order.rate_per_s:
            self._free.put_nowait(connection)
        else:
            self._send_next(connection)

    def lost(self, error: Exception | None) -> None:
        if self._left and not self._done.done():
            self._done.set_exception(ConnectionError(f"the server closed a connection: {error}"))

    def _send_next(self, connection: Connection) -> None:
        data = next(self._requests, None)
        if data is not None:
            connection.send(data)

    async def run(self) -> Driven:
        loop = asyncio.get_running_loop()
        wanted = min(self._order.connections, self._order.count)
        made = [
            (await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._order.port))[1]
            for _ in range(wanted)
        ]
        began = time.perf_counter()
        async with asyncio.timeout(self._order.seconds_max):
            if self._order.rate_per_s:
                began = await self._paced(made)
            else:
                for connection in made:
                    self._send_next(connection)
            await self._done
        seconds = time.perf_counter() - began
        ascending = sorted(self._seconds)
        return Driven(
            requests=sum(self._statuses.values()),
            seconds=seconds,
            statuses={status.decode(): count for status, count in self._statuses.items()},
            answer_ms_p50=percentile(ascending, 0.5) * 1000,
            answer_ms_p99=percentile(ascending, 0.99) * 1000,
            last_body=self._last_body[:500].decode("utf-8", "replace"),
        )

    async def _paced(self, made: list[Connection]) -> float:
        """One request at each due millisecond and never before it, as simply as a loop can."""
        for connection in made:
            self._free.put_nowait(connection)
        first_ms = time.time_ns() // 1_000_000 + LEAD_MS
        due = [first_ms + index * 1000 // self._order.rate_per_s for index in range(self._order.count)]
        ready = [
            (
                at_ms,
                next(self._requests).replace(
                    b"content-length:", b"squirrel-scheduled-for: %b\r\ncontent-length:" % when
                ),
            )
            for at_ms, when in ((each, format_instant(each).encode()) for each in due)
        ]
        began = time.perf_counter()
        for due_ms, data in ready:
            while (wait_ns := due_ms * 1_000_000 - time.time_ns()) > 0:  # noqa: ASYNC110 - a clock signals nothing
                await asyncio.sleep(wait_ns / 1e9)
            (await self._free.get()).send(data)
        return began


def requests_in(path: Path) -> list[bytes]:
    """The requests of a file, each after its length."""
    data = path.read_bytes()
    requests: list[bytes] = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        requests.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return requests


async def carry_out(order: Order, requests: Sequence[bytes]) -> Driven:
    """One order, on this loop."""
    endless = (each for again in repeat(requests) for each in again)
    return await LoadRun(order, islice(endless, order.count)).run()


if __name__ == "__main__":
    given = Order(**json.loads(sys.stdin.readline()))
    print(json.dumps(asdict(uvloop.run(carry_out(given, requests_in(Path(given.path)))))))

"""A raw HTTP target that misbehaves on command and keeps every byte it was sent.

`async with Target(behaviour) as target:` serves on a free loopback port; a behaviour is a coroutine that gets the connection
and the request, and returns whether the connection may carry another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Self

READ_BYTES = 65536


class Received(NamedTuple):
    """One request as it stood on the wire."""

    connection: int  # number of the connection, from 0
    line: str
    headers: list[tuple[str, str]]  # in order, names as sent
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for each, value in self.headers if each.lower() == name.lower()), None)


class Line(NamedTuple):
    """What a behaviour may use: the connection, how many requests came before on it, and the target."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    earlier: int
    target: Target

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_dropped(self) -> None:
        """Returns when the caller hung up."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(READ_BYTES):
                pass


Behaviour = Callable[[Line, Received], Awaitable[bool]]


class Target:
    """Serves while entered. `requests` fill as they arrive; `idle` is set while no connection is open."""

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.ended = asyncio.Event()  # a connection came to its end
        self.idle = asyncio.Event()  # every connection did
        self.stopping = asyncio.Event()
        self._open = 0
        self._behaviour = behaviour
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"

    async def pause(self, seconds: float) -> None:
        """Waits, but not beyond the end of the test."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.stopping.set()
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number, self.connections, self._open = self.connections, self.connections + 1, self._open + 1
        self.idle.clear()
        try:
            earlier = 0
            while (received := await _read(reader, number)) is not None:
                self.requests.append(received)
                if not await self._behaviour(Line(reader, writer, earlier, self), received):
                    break
                earlier += 1
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort() if self.stopping.is_set() else writer.close()
            self._tasks.discard(task)
            self._open -= 1
            self.ended.set()
            if not self._open:
                self.idle.set()


async def _read(reader: asyncio.StreamReader, number: int) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, *lines = head[:-4].decode("latin-1").split("\r\n")
    headers = [(name, value.removeprefix(" ")) for name, _, value in (each.partition(":") for each in lines)]
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Received(number, line, headers, await reader.readexactly(length))


# --- behaviours ------------------------------------------------------------------------------------------------------


def answer(status: int = 200, body: bytes = b"ok", headers: tuple[tuple[str, str], ...] = ()) -> Behaviour:
    """A plain, framed, kept-alive answer."""

    async def behave(line: Line, _: Received) -> bool:
        extra = "".join(f"{name}: {value}\r\n" for name, value in headers)
        await line.send(f"HTTP/1.1 {status} X\r\n{extra}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body)
        return True

    return behave


def raw(data: bytes, *, then_close: bool = True) -> Behaviour:
    """Exactly these bytes, then an orderly close, or nothing more."""

    async def behave(line: Line, _: Received) -> bool:
        await line.send(data)
        if not then_close:
            await line.until_dropped()
        return False

    return behave


def endless(start: bytes, again: bytes) -> Behaviour:
    """`start`, then `again` until the caller hangs up."""

    async def behave(line: Line, _: Received) -> bool:
        await line.send(start)
        while not line.target.stopping.is_set():
            await line.send(again)
        return False

    return behave


def drip(start: bytes, again: bytes, seconds: float) -> Behaviour:
    """`start`, then `again` every so often until the caller hangs up."""

    async def behave(line: Line, _: Received) -> bool:
        await line.send(start)
        while not line.target.stopping.is_set() and not line.reader.at_eof():
            await line.target.pause(seconds)
            await line.send(again)
        return False

    return behave


async def no_answer(line: Line, _: Received) -> bool:
    """Takes the request and says nothing."""
    await line.until_dropped()
    return False


async def close_on_receipt(line: Line, _: Received) -> bool:
    """Answers the first request of a connection; hangs up exactly when the next one arrives."""
    if line.earlier:
        return False
    return await answer()(line, _)


async def close_when_idle(line: Line, _: Received) -> bool:
    """Answers as if it would stay, and closes at once: the next request must not meet this connection."""
    await answer()(line, _)
    return False


async def half_close(line: Line, _: Received) -> bool:
    """Ends its own direction without an answer and goes on reading."""
    line.writer.write_eof()
    await line.until_dropped()
    return False


async def reset(line: Line, _: Received) -> bool:
    """Resets the connection instead of answering."""
    line.writer.transport.abort()
    return False

"""A raw HTTP/1.1 target on loopback that misbehaves on command and keeps every request as it stood on the wire.

`async with Target(behaviour) as target:` serves on a free loopback port; a behaviour is a coroutine that gets the connection
and the request, and returns whether the connection may carry another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, Self

READ_BYTES = 65536


class Received(NamedTuple):
    """One request as it stood on the wire."""

    connection: int  # number of the connection, from 0
    line: str
    headers: list[tuple[str, str]]  # in order, names as sent
    body: bytes

    @property
    def path(self) -> str:
        """As it was asked for, with its query."""
        return self.line.split(" ")[1] if self.line.count(" ") >= 2 else ""

    def header(self, name: str) -> str | None:
        """The first of this name, in any case of letters."""
        return next((value for each, value in self.headers if each.lower() == name.lower()), None)


class Line(NamedTuple):
    """What a behaviour may use: the connection, how many requests came before on it, and the target."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    earlier: int
    target: Target

    async def send(self, data: bytes) -> None:
        """These bytes, as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def until_dropped(self) -> None:
        """Returns when the caller hung up."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(READ_BYTES):
                pass


Behaviour = Callable[[Line, Received], Awaitable[bool]]


class Target:
    """Serves while entered, on a free port of 127.0.0.1 unless `port` says which. `behaviour` may be changed at any time.

    `requests` fill as they arrive, `arrived` is set with each one; `idle` is set while no connection is open.
    """

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None, *, port: int = 0) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.ended = asyncio.Event()  # a connection came to its end
        self.idle = asyncio.Event()  # every connection did
        self.stopping = asyncio.Event()
        self._open = 0
        self.behaviour = behaviour
        self.arrived = asyncio.Event()
        self._port = port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens; while entered."""
        assert self._server is not None, "enter it first"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """For a schedule's target."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"

    async def pause(self, seconds: float) -> None:
        """Waits, but not beyond the end of the target's life."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Does this beside the connections; it ends with the target."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, ssl=self._tls)
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
                self.arrived.set()
                if not await self.behaviour(Line(reader, writer, earlier, self), received):
                    break
                earlier += 1
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            if self.stopping.is_set():
                writer.transport.abort()
            else:
                writer.close()
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

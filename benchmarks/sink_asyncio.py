"""What sink.c does, for machines without a C compiler: slower, the same answers. A process of its own."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import uvloop

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"
noted: list[bytes] = []


class Target(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._received_us = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._received_us = time.time_ns() // 1000
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            size = end + 4 + int(header(head, b"content-length") or 0)
            if len(self._buffer) < size:
                return
            self._buffer = self._buffer[size:]
            self._transport.write(self._answer(head))

    def _answer(self, head: bytes) -> bytes:
        if head.startswith(b"GET /_count "):
            return text(b"%d" % len(noted))
        if head.startswith(b"GET /_log "):
            return text(b"".join(noted))
        due = header(head, b"squirrel-scheduled-for") or b"-"
        noted.append(b"%d %b %b\n" % (self._received_us, due, header(head, b"webhook-id") or b"-"))
        return OK


def header(head: bytes, name: bytes) -> bytes:
    """The value of a header, empty when there is none."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return b""


def text(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def serve() -> None:
    """Until stdin ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Target, "127.0.0.1", 0, backlog=4096)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    uvloop.run(serve())

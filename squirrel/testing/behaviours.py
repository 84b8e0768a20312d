"""How a target may behave: well, late, without end, against the protocol, or not at all. Each is what `Target` is given."""

from __future__ import annotations

import gzip
import io
import socket
import struct
from itertools import count

from squirrel.client.receiver import NotVerified, verify
from squirrel.testing.target import Behaviour, Line, Received

OK = b"HTTP/1.1 200 OK\r\n"
BLOCK = b"x" * 65536
Headers = tuple[tuple[str, str], ...]


def answer(status: int = 200, body: bytes = b"ok", headers: Headers = ()) -> Behaviour:
    """A plain, framed, kept-alive answer; 204 and 304 have no body."""
    body = b"" if status in (204, 304) else body

    async def behave(line: Line, _: Received) -> bool:
        extra = "".join(f"{name}: {value}\r\n" for name, value in headers)
        await line.send(f"HTTP/1.1 {status} X\r\n{extra}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body)
        return True

    return behave


def delayed(seconds: float, then: Behaviour | None = None) -> Behaviour:
    """Nothing for so long, then `then` (200)."""
    after = then or answer()

    async def behave(line: Line, received: Received) -> bool:
        await line.target.pause(seconds)
        return await after(line, received)

    return behave


def failing(times: int, then: Behaviour | None = None, status: int = 503) -> Behaviour:
    """`status` to the first `times` requests of each `webhook-id` (of all requests when they have none), then `then` (200)."""
    seen: dict[str | None, int] = {}
    after = then or answer()

    async def behave(line: Line, received: Received) -> bool:
        run = received.header("webhook-id")
        seen[run] = seen.get(run, 0) + 1
        return await (answer(status, b"not yet") if seen[run] <= times else after)(line, received)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One after the other, and the last one for ever."""
    at = count()

    async def behave(line: Line, received: Received) -> bool:
        return await behaviours[min(next(at), len(behaviours) - 1)](line, received)

    return behave


def redirect(to: str, status: int = 302) -> Behaviour:
    """Elsewhere; whoever follows shows up there."""
    return answer(status, b"", (("location", to),))


def retry_after(value: str | int, status: int = 429) -> Behaviour:
    """Too much: come back after so many seconds, or at that HTTP date."""
    return answer(status, b"later", (("retry-after", str(value)),))


def signed(secrets: str | tuple[str, ...], then: Behaviour | None = None) -> Behaviour:
    """401 unless the request's Standard Webhooks signature holds at its own timestamp, else `then` (200)."""
    after = then or answer()

    async def behave(line: Line, received: Received) -> bool:
        headers = dict(received.headers)
        stamp = received.header("webhook-timestamp") or ""
        try:
            verify(headers, received.body, secrets, float(stamp) if stamp.isdigit() else 0.0)
        except NotVerified as why:
            return await answer(401, str(why).encode())(line, received)
        return await after(line, received)

    return behave


def raw(data: bytes, *, then_close: bool = True) -> Behaviour:
    """Exactly these bytes, then an orderly close, or nothing more."""

    async def behave(line: Line, _: Received) -> bool:
        await line.send(data)
        if not then_close:
            await line.until_dropped()
        return False

    return behave


def endless(start: bytes = OK + b"\r\n", again: bytes = BLOCK) -> Behaviour:
    """`start`, then `again` until the caller hangs up. As it stands: a body that never ends."""

    async def behave(line: Line, _: Received) -> bool:
        await line.send(start)
        while not line.target.stopping.is_set():
            await line.send(again)
        return False

    return behave


def endless_chunks(chunk: bytes = BLOCK) -> Behaviour:
    """Chunks without a last one."""
    return endless(OK + b"transfer-encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n" % (len(chunk), chunk))


def endless_chunk() -> Behaviour:
    """One chunk that never ends."""
    return endless(OK + b"transfer-encoding: chunked\r\n\r\nffffffffff\r\n")


def drip(start: bytes = OK + b"content-length: 9999\r\n\r\n", again: bytes = b"x", seconds: float = 0.5) -> Behaviour:
    """`start`, then `again` every so often until the caller hangs up. As it stands: a body, byte by byte."""

    async def behave(line: Line, _: Received) -> bool:
        await line.send(start)
        while not line.target.stopping.is_set() and not line.reader.at_eof():
            await line.target.pause(seconds)
            await line.send(again)
        return False

    return behave


def gzip_bomb(megabytes: int = 100) -> Behaviour:
    """A small answer that unpacks to so much."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        for _ in range(megabytes):
            file.write(bytes(1024 * 1024))
    return answer(200, packed.getvalue(), (("content-encoding", "gzip"), ("content-type", "application/json")))


def header_flood(lines: int = 100_000) -> Behaviour:
    """So many header lines before the body."""
    return raw(OK + b"x-flood: 1\r\n" * lines + b"content-length: 0\r\n\r\n")


def wrong_length(said: int = 100, body: bytes = b"short") -> Behaviour:
    """Says one length and sends another."""
    return raw(OK + b"content-length: %d\r\n\r\n%b" % (said, body))


async def no_answer(line: Line, _: Received) -> bool:
    """Takes the request and says nothing."""
    await line.until_dropped()
    return False


async def close_on_receipt(line: Line, received: Received) -> bool:
    """Answers the first request of a connection; hangs up exactly when the next one arrives."""
    if line.earlier:
        return False
    return await answer()(line, received)


async def close_when_idle(line: Line, received: Received) -> bool:
    """Answers as if it would stay, and closes at once: the next request must not meet this connection."""
    await answer()(line, received)
    return False


async def half_close(line: Line, _: Received) -> bool:
    """Ends its own direction without an answer and goes on reading."""
    line.writer.write_eof()
    await line.until_dropped()
    return False


async def reset(line: Line, _: Received) -> bool:
    """Resets the connection instead of answering."""
    connection = line.writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing says RST and not FIN
    line.writer.transport.abort()
    return False

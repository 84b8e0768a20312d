"""Slow and oversized senders against the real server: each is ended in time, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from squirrel.gateway.protocol import BoundedHttp, server_config
from tests.eventually import eventually
from tests.unit.gateway.world import World, create_app

Connect = Callable[[], Any]


class Hasty(BoundedHttp):
    """Deadlines that a test can wait for."""

    head_seconds = 0.2
    body_seconds = 0.3
    send_seconds = 0.3
    linger_seconds = 0.2
    connections_max = 600


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    server = uvicorn.Server(server_config(app, "127.0.0.1", 0, protocol=Hasty))
    serving = asyncio.create_task(server._serve())
    try:
        await eventually(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
async def port(world: World) -> AsyncIterator[int]:
    async with served(create_app(world.deps())) as number:
        yield number


async def talk(port: int, sent: bytes) -> bytes:
    """Sends, and reads until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b"408"),
        (b"GET /healthz HT", b"408"),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ", b"408"),
        (b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{", b"408"),
        (b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", b"408"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 300_000, b"431"),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + b"x: y\r\n" * 150 + b"connection: close\r\n\r\n", b"431"),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", b"200"),
        (b"GET /a\x00b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", b"400"),
    ],
)
async def test_every_sender_gets_an_answer_and_an_end(port: int, sent: bytes, status: bytes) -> None:
    answer = await talk(port, sent)
    assert answer.split(b" ")[1] == status, answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    if status != b"200":
        assert b"application/problem+json" in answer


async def test_many_slow_senders_hold_up_nobody(port: int) -> None:
    slow = [asyncio.create_task(talk(port, b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\nx: ")) for _ in range(500)]
    probe = await talk(port, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert b" 200 " in probe
    assert all(b" 408 " in answer for answer in await asyncio.gather(*slow))


async def test_a_body_refused_by_its_length_still_gets_its_answer(port: int) -> None:
    head = b"POST /api/v1/schedules HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2000000\r\n\r\n"
    answer = await talk(port, head + b" " * 2_000_000)
    assert answer.split(b" ")[1] == b"413"


async def test_keep_alive_and_pipelining(port: int) -> None:
    get = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert (await talk(port, get + get + last)).count(b" 200 OK") == 3


async def test_a_client_that_stops_reading_is_cut_off() -> None:
    ended = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2_000):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        ended.set()

    async with served(endless) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(5):
            await ended.wait()
        writer.close()
        assert not reader.at_eof()

"""Targets that would hold a slot, fill the memory or confuse the parser: each ends within its deadline and is dropped."""

from __future__ import annotations

import asyncio
import ssl
import threading
import tracemalloc
from collections.abc import Callable

import pytest

from squirrel.executor.targets.http import HttpCaller
from squirrel.model.limits import RESPONSE_BYTES_KEPT_MAX
from squirrel.testing import Behaviour, Target, answer, drip, endless, half_close, no_answer, raw
from tests.unit.executor.conftest import attempt_at

OK = b"HTTP/1.1 200 OK\r\n"
SLOW = {"timeout_ms": 200}
CASES: dict[str, tuple[Behaviour, dict[str, int], str | None, int | None]] = {
    # name: behaviour, target settings, error type (None: succeeded, cut), status
    "endless body": (endless(OK + b"\r\n", b"x" * 65536), {}, None, 200),
    "endless framed body": (endless(OK + b"content-length: 99999999999\r\n\r\n", b"x" * 65536), {}, None, 200),
    "endless chunk": (endless(OK + b"transfer-encoding: chunked\r\n\r\nffffffffff\r\n", b"x" * 65536), {}, None, 200),
    "endless tiny chunks": (endless(OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 999), {}, None, 200),
    "endless chunk extension": (endless(OK + b"transfer-encoding: chunked\r\n\r\n1;", b"a=b;" * 9999), {}, None, 200),
    "endless trailers": (endless(OK + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 9999), {}, None, 200),
    "headers without end": (endless(OK, b"x-flood: 1\r\n" * 999), {}, "response_too_large", None),
    "one header without end": (endless(OK + b"x: ", b"y" * 65536), {}, "response_too_large", None),
    "status line without end": (endless(b"HTTP/1.1 200 ", b"y" * 65536), {}, "response_too_large", None),
    "100000 headers": (raw(OK + b"x: y\r\n" * 100_000 + b"\r\n"), {}, "response_too_large", None),
    "300 short headers": (raw(OK + b"x: y\r\n" * 300 + b"content-length: 0\r\n\r\n"), {}, "response_too_large", None),
    "40 KB of headers": (
        raw(OK + b"x: " + b"y" * 40_000 + b"\r\ncontent-length: 0\r\n\r\n"),
        {},
        "response_too_large",
        None,
    ),
    "1 MB header": (raw(OK + b"x: " + b"y" * 1_000_000 + b"\r\n\r\n"), {}, "response_too_large", None),
    "endless interim answers": (endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 9), {}, "protocol", None),
    "slow interim answers": (drip(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.05), SLOW, "timeout", None),
    "a byte at a time": (drip(OK + b"content-length: 9999\r\n\r\n", b"x", 0.02), SLOW, "timeout", 200),
    "a header at a time": (drip(OK, b"a: b\r\n", 0.02), SLOW, "timeout", None),
    "no answer": (no_answer, SLOW, "timeout", None),
    "half close": (half_close, {}, "disconnected", None),
    "half a head": (raw(OK + b"content-le"), {}, "disconnected", None),
    "short body": (raw(OK + b"content-length: 10\r\n\r\nshort"), {}, "disconnected", 200),
    "short chunk": (raw(OK + b"transfer-encoding: chunked\r\n\r\nff\r\nx"), {}, "disconnected", 200),
    "not HTTP": (raw(b"220 mail.example ESMTP\r\n"), {}, "protocol", None),
    "HTTP/2": (raw(b"\0\0\x12\x04\0\0\0\0\0" + b"\0" * 18), {}, "protocol", None),
    "two lengths": (raw(OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nok"), {}, "protocol", None),
    "length and chunks": (
        raw(OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        {},
        "protocol",
        None,
    ),
    "bad chunk": (raw(OK + b"transfer-encoding: chunked\r\n\r\nxyz\r\n"), {}, "protocol", 200),
    "upgrade": (raw(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), {}, "protocol", None),
    "NUL in a header": (raw(OK + b"x: a\0b\r\ncontent-length: 0\r\n\r\n"), {}, "protocol", None),
}


@pytest.mark.parametrize("name", CASES)
async def test_hostile_target_ends_and_is_dropped(caller: HttpCaller, name: str) -> None:
    behaviour, settings, error_type, status = CASES[name]
    async with Target(behaviour) as target:
        async with asyncio.timeout(4):
            outcome = await caller.call(attempt_at(target.url, **settings))
        await asyncio.wait_for(target.idle.wait(), 4)  # nothing of it is still open
    assert len(target.requests) == 1
    assert (outcome.error_type, outcome.status) == (error_type, status)
    assert (outcome.state, outcome.truncated) == (("succeeded", True) if error_type is None else ("failed", False))
    assert len(outcome.body) <= RESPONSE_BYTES_KEPT_MAX
    assert "127.0.0" not in outcome.error_detail
    assert bool(outcome.error_detail) is (error_type is not None)


async def test_bombs_take_little_memory(caller: HttpCaller) -> None:
    """Twenty of the largest at once: what is kept of an answer bounds what is held, not what the target sends."""
    bombs = ["endless body", "endless chunk", "100000 headers", "1 MB header", "endless trailers"]
    targets = [await Target(CASES[name][0]).__aenter__() for name in bombs * 4]
    await caller.call(attempt_at(targets[0].url))  # what is made once is made
    tracemalloc.start()
    try:
        async with asyncio.timeout(20):
            await asyncio.gather(*(caller.call(attempt_at(each.url)) for each in targets))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for each in targets:
        await each.__aexit__()
    assert peak_bytes < 20 * 1024 * 1024


async def test_target_that_does_not_read(caller: HttpCaller) -> None:
    """A request larger than the socket's buffers, towards a target that takes a head's worth of it."""
    taken = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        taken.set()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    outcome = await caller.call(attempt_at(f"http://127.0.0.1:{port}/", body=b"x" * 16_000_000, timeout_ms=200))
    assert taken.is_set()
    assert outcome.error_type == "timeout"
    server.close()


async def test_tls_that_stalls(caller: HttpCaller) -> None:
    dropped = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        dropped.set()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    outcome = await caller.call(attempt_at(f"https://127.0.0.1:{port}/", timeout_ms=200))
    assert (outcome.error_type, outcome.error_detail) == ("timeout", "the TLS handshake took too long")
    await asyncio.wait_for(dropped.wait(), 4)
    server.close()


async def test_deadline_covers_the_resolver(caller: HttpCaller, guard: object) -> None:
    released = threading.Event()
    guard._resolve = lambda host: released.wait(10) and []  # type: ignore[attr-defined]
    outcome = await caller.call(attempt_at("http://slow.example/", timeout_ms=100))
    released.set()
    assert (outcome.error_type, outcome.retryable) == ("timeout", True)


async def test_neighbours_are_not_held_up(caller: HttpCaller, server_tls: Callable[[str], ssl.SSLContext]) -> None:
    """All hostile targets at once, and a good one between them."""
    targets = [await Target(behaviour).__aenter__() for behaviour, *_ in CASES.values()]
    calls = [asyncio.create_task(caller.call(attempt_at(each.url, timeout_ms=500))) for each in targets]
    async with Target(answer(), server_tls("loopback")) as good:
        for _ in range(20):
            assert (await caller.call(attempt_at(good.url))).state == "succeeded"
    async with asyncio.timeout(5):
        await asyncio.gather(*calls)
    for each in targets:
        await each.__aexit__()

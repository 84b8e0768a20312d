"""Webhooks against a raw server: what arrives, what comes back, and how connections are kept."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import Callable

import msgspec
import pytest

from squirrel.executor.guard import Guard
from squirrel.executor.targets.http import HttpCaller
from squirrel.model.limits import RESPONSE_BYTES_KEPT_MAX, RESPONSE_BYTES_READ_MAX
from squirrel.testing import Line, Received, Target, answer, close_on_receipt, close_when_idle, no_answer, raw, reset
from tests.unit.executor.conftest import RUN, SetClock, attempt_at

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


async def test_what_a_target_receives(caller: HttpCaller) -> None:
    async with Target(answer(201, b'{"ok":1}', (("X-Seen", "1"), ("x-seen", "2")))) as target:
        outcome = await caller.call(attempt_at(target.url))
    assert (outcome.state, outcome.status, outcome.body, outcome.truncated) == ("succeeded", 201, b'{"ok":1}', False)
    assert outcome.headers == {"x-seen": "1, 2", "content-length": "8"}
    assert outcome.error_type is None
    assert outcome.started_ms <= outcome.finished_ms
    received = target.requests[0]
    assert received.line == "POST /hook HTTP/1.1"
    assert received.body == b'{"subject":"Reminder"}'
    assert received.header("webhook-id") == received.header("idempotency-key") == RUN
    assert received.header("squirrel-attempt") == "2"
    assert received.header("webhook-signature") is None


async def test_a_202_of_an_asynchronous_target_is_a_promise_and_the_call_brought_its_token(caller: HttpCaller) -> None:
    async with Target(answer(202, b"later")) as target:
        plain = await caller.call(attempt_at(target.url))
        asked = msgspec.structs.replace(attempt_at(target.url, completion_timeout_ms=1000), completion_token="sqc1.a.b")
        promised = await caller.call(asked)
    assert (plain.state, promised.state, promised.error_type) == ("succeeded", "promised", None)
    assert target.requests[0].header("squirrel-completion-token") is None
    assert target.requests[1].header("squirrel-completion-token") == "sqc1.a.b"


async def test_verbatim_body_and_methods(caller: HttpCaller) -> None:
    async with Target(answer(200, b"")) as target:
        await caller.call(attempt_at(target.url, method="PUT", body=b"\0raw\xff"))
        await caller.call(attempt_at(target.url, method="GET"))
    assert target.requests[0].line == "PUT /hook HTTP/1.1"
    assert target.requests[0].body == b"\0raw\xff"
    assert target.requests[1].body == b""


async def test_connection_is_reused(caller: HttpCaller) -> None:
    async with Target(answer()) as target:
        for _ in range(20):
            assert (await caller.call(attempt_at(target.url))).state == "succeeded"
    assert (len(target.requests), target.connections) == (20, 1)


async def test_calls_at_once_do_not_mix(caller: HttpCaller) -> None:
    async def echo(line: Line, received: Received) -> bool:
        return await answer(200, received.body)(line, received)

    async with Target(echo) as target:
        bodies = [b"%d" % n * (n + 1) for n in range(100)]
        outcomes = await asyncio.gather(
            *(caller.call(msgspec.structs.replace(attempt_at(target.url), message=body)) for body in bodies)
        )
    assert [each.body for each in outcomes] == bodies


@pytest.mark.parametrize("method", METHODS)
async def test_one_attempt_is_one_request_when_the_target_closes_on_receipt(caller: HttpCaller, method: str) -> None:
    """aiohttp 3.14.5 sends GET, PUT, DELETE and others again here (client.py, retry_persistent_connection)."""
    async with Target(close_on_receipt) as target:
        first = await caller.call(attempt_at(target.url))
        second = await caller.call(attempt_at(target.url, method=method))
    assert first.state == "succeeded"
    assert len(target.requests) == 2
    assert target.connections == 1
    assert (second.state, second.error_type, second.retryable) == ("failed", "disconnected", True)


async def test_a_connection_closed_while_idle_costs_no_attempt(caller: HttpCaller) -> None:
    async with Target(close_when_idle) as target:
        for _ in range(10):
            assert (await caller.call(attempt_at(target.url))).state == "succeeded"
            await target.ended.wait()
            target.ended.clear()
    assert len(target.requests) == target.connections == 10


async def test_one_attempt_is_one_request_when_reset(caller: HttpCaller) -> None:
    async with Target(reset) as target:
        outcome = await caller.call(attempt_at(target.url, method="GET"))
    assert (len(target.requests), outcome.error_type) == (1, "disconnected")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(caller: HttpCaller, status: int) -> None:
    async with Target(answer()) as elsewhere:
        async with Target(answer(status, b"", (("location", elsewhere.url),))) as target:
            outcome = await caller.call(attempt_at(target.url))
        assert elsewhere.connections == 0
    assert (outcome.state, outcome.status, outcome.error_type) == ("failed", status, "status")


async def test_proxy_variables_are_not_read(caller: HttpCaller, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Target(answer()) as proxy, Target(answer()) as target:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await caller.call(attempt_at(target.url))
        assert (proxy.connections, target.connections) == (0, 1)


async def test_gone_and_retry_after(caller: HttpCaller) -> None:
    async with Target(answer(410)) as target:
        outcome = await caller.call(attempt_at(target.url))
    assert (outcome.state, outcome.retryable, outcome.status) == ("gone", False, 410)
    async with Target(answer(503, b"", (("Retry-After", "17"),))) as target:
        outcome = await caller.call(attempt_at(target.url))
    assert (outcome.state, outcome.retryable, outcome.retry_after_ms) == ("failed", True, 17_000)


async def test_packed_bodies_stay_packed(caller: HttpCaller) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    async with Target(answer(200, bomb, (("content-encoding", "gzip"),))) as target:
        outcome = await caller.call(attempt_at(target.url))
    assert outcome.body == bomb
    assert target.requests[0].header("accept-encoding") == "identity"


@pytest.mark.parametrize(
    ("length", "kept", "connections"),
    [
        (RESPONSE_BYTES_KEPT_MAX, RESPONSE_BYTES_KEPT_MAX, 1),
        (RESPONSE_BYTES_KEPT_MAX + 1, RESPONSE_BYTES_KEPT_MAX, 1),
        (RESPONSE_BYTES_READ_MAX, RESPONSE_BYTES_KEPT_MAX, 1),
        (RESPONSE_BYTES_READ_MAX + 1, RESPONSE_BYTES_KEPT_MAX, 2),
    ],
)
async def test_long_bodies_are_cut(caller: HttpCaller, length: int, kept: int, connections: int) -> None:
    async with Target(answer(200, b"x" * length)) as target:
        outcome = await caller.call(attempt_at(target.url))
        assert (outcome.state, len(outcome.body), outcome.truncated) == ("succeeded", kept, length > kept)
        await caller.call(attempt_at(target.url))
        assert target.connections == connections


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (b"HTTP/1.1 204 No\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\nt: v\r\n\r\n", b"abc"),
        (
            b"HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            b"ok",
        ),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", b"ok"),
    ],
)
async def test_shapes_of_an_answer(caller: HttpCaller, data: bytes, body: bytes) -> None:
    async with Target(raw(data)) as target:
        outcome = await caller.call(attempt_at(target.url))
    assert (outcome.state, outcome.body) == ("succeeded", body)
    assert "link" not in outcome.headers
    assert "t" not in outcome.headers


async def test_a_second_answer_is_never_taken_for_the_next(caller: HttpCaller) -> None:
    one = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
    async with Target(raw(one + b"ok" + one + b"no", then_close=False)) as target:
        for _ in range(3):
            assert (await caller.call(attempt_at(target.url))).body == b"ok"
    assert target.connections == 3


async def test_head_has_no_body(caller: HttpCaller) -> None:
    async with Target(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n", then_close=False)) as target:
        outcome = await caller.call(attempt_at(target.url, method="HEAD"))
    assert (outcome.state, outcome.body, outcome.headers["content-length"]) == ("succeeded", b"", "500")


async def test_refused_connection(caller: HttpCaller) -> None:
    async with Target(answer()) as target:
        url = target.url
    outcome = await caller.call(attempt_at(url))
    assert (outcome.error_type, outcome.error_detail, outcome.retryable) == ("connect", "connection refused", True)


@pytest.mark.parametrize("url", ["ftp://x/", "http://u:p@x/", "http://0x7f.1/", "http://x\r\ny/", ""])
async def test_bad_target_is_final(caller: HttpCaller, url: str) -> None:
    outcome = await caller.call(attempt_at(url))
    assert (outcome.state, outcome.error_type, outcome.retryable) == ("failed", "bad_target", False)


async def test_unknown_name(caller: HttpCaller) -> None:
    outcome = await caller.call(attempt_at("http://no-such-name.invalid/"))
    assert (outcome.error_type, outcome.retryable) == ("dns", True)


async def test_cancelled_call_drops_its_connection(caller: HttpCaller) -> None:
    async with Target(no_answer) as target:
        call = asyncio.create_task(caller.call(attempt_at(target.url, timeout_ms=60_000)))
        while not target.requests:
            await asyncio.wait([call], timeout=0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(target.ended.wait(), 5)


async def test_https(caller: HttpCaller, server_tls: Callable[[str], ssl.SSLContext]) -> None:
    async with Target(answer(), server_tls("loopback")) as target:
        for host in ("127.0.0.1", "localhost"):
            for _ in range(3):
                outcome = await caller.call(attempt_at(f"https://{host}:{target.port}/"))
                assert (outcome.state, outcome.error_detail) == ("succeeded", "")
        assert target.connections == 2


async def test_wrong_certificates(
    caller: HttpCaller, guard: Guard, server_tls: Callable[[str], ssl.SSLContext]
) -> None:
    async with Target(answer(), server_tls("elsewhere")) as target:
        outcome = await caller.call(attempt_at(target.url))
        assert (outcome.error_type, outcome.error_detail) == ("tls", "the certificate is for another host")
        strict = HttpCaller(guard, SetClock())
        outcome = await strict.call(attempt_at(target.url))
        assert outcome.error_type == "tls"
        assert outcome.error_detail.startswith("certificate: ")
        await strict.close()
        assert not target.requests


async def test_https_to_a_plain_server(caller: HttpCaller) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    outcome = await caller.call(attempt_at(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    assert (outcome.error_type, outcome.retryable) == ("tls", True)
    server.close()

"""The way out for one call of a plugin: guarded, bounded, gone when the call ends. Implements `wire.target_types.Network`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from squirrel.executor.connection import Answer
from squirrel.executor.guard import Failure, Guard
from squirrel.executor.lending import lend
from squirrel.executor.pool import Pool
from squirrel.executor.tokens import Tokens
from squirrel.model.addresses import normalise_url
from squirrel.model.errors import Refused
from squirrel.wire.target_types import CallFailed, Reply

USER_AGENT: Final = "Squirrel/1"
STREAM_BYTES_MAX: Final = 64 * 1024  # of one line or block that a stream's reader holds
STREAMS_MAX: Final = 8  # per call


class Ways:
    """Pool, tokens and authorities, shared by all calls of plugins."""

    def __init__(self, guard: Guard, tokens: Tokens, tls: ssl.SSLContext) -> None:
        self.guard = guard
        self.tokens = tokens
        self.tls = tls
        self.pool = Pool()

    def close(self) -> None:
        """Drops the idle connections. Safe twice."""
        self.pool.close()


class CallNetwork:
    """One call's. `deadline` is loop time; leave with `close`."""

    def __init__(self, ways: Ways, namespace: str, now_ms: int, deadline: float) -> None:
        self._ways = ways
        self._guard = ways.guard.of(namespace)
        self._now_ms = now_ms
        self._deadline = deadline
        self._streams: list[asyncio.StreamWriter] = []

    @property
    def now_ms(self) -> int:
        return self._now_ms

    def close(self) -> None:
        """Drops the streams."""
        for writer in self._streams:
            with contextlib.suppress(OSError, RuntimeError):
                writer.transport.abort()
        self._streams.clear()

    async def token(self, key: str, fetch: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        return await self._ways.tokens.of(key, fetch)

    def forget_token(self, key: str) -> None:
        self._ways.tokens.forget(key)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """One request; raises CallFailed when there is no whole answer."""
        try:
            checked = normalise_url(url, "url")
        except Refused as refused:
            raise CallFailed("bad_target", str(refused), retryable=False) from None
        lines = [f"{method} {checked.request_target} HTTP/1.1", f"host: {checked.host_header}"]
        given = {"accept-encoding": "identity", "user-agent": USER_AGENT, "accept": "*/*"}
        given |= {name.lower(): value for name, value in (headers or {}).items()}
        given["content-length"] = str(len(body))
        given.pop("host", None)
        lines += [f"{name}: {value}" for name, value in given.items()]
        head = "\r\n".join(lines)
        if "\0" in head or head.count("\r") != len(lines) - 1 or head.count("\n") != len(lines) - 1:
            raise CallFailed("bad_target", "a header holds a line end or NUL", retryable=False)
        try:
            raw = head.encode("latin-1") + b"\r\n\r\n" + body
        except UnicodeEncodeError:
            raise CallFailed("bad_target", "a header holds a character beyond Latin-1", retryable=False) from None
        lent = await lend(checked, self._guard, self._ways.pool, self._ways.tls, self._deadline)
        if isinstance(lent, Failure):
            raise _failed(lent)
        try:
            ending = await lent.exchange(raw, self._deadline, method == "HEAD")
        except BaseException:
            lent.abort()
            raise
        self._ways.pool.give(lent, asyncio.get_running_loop().time())
        if isinstance(ending, Failure):
            raise _failed(ending)
        return reply_of(ending)

    async def connect(self, host: str, port: int, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream to the first checked address that answers."""
        name = f"[{host}]" if ":" in host else host
        try:
            checked = normalise_url(f"{'https' if tls else 'http'}://{name}:{port}/", "host")
        except Refused as refused:
            raise CallFailed("bad_target", str(refused), retryable=False) from None
        if len(self._streams) >= STREAMS_MAX:
            raise CallFailed("internal", f"a call may have {STREAMS_MAX} streams", retryable=False)
        error: OSError | None = None
        for family, place in (await self.addresses(host, port))[:3]:
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                return await self._open(sock, place, checked.host, tls)
            except OSError as failed:
                error = failed
            except BaseException:
                sock.close()
                raise
            sock.close()
        if isinstance(error, ssl.SSLError):
            raise CallFailed("tls", "the TLS handshake failed; check the certificate and whether the port speaks TLS")
        raise CallFailed("connect", "no connection to the host")

    async def addresses(self, host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
        """Checked socket addresses."""
        name = f"[{host}]" if ":" in host else host
        try:
            checked = normalise_url(f"http://{name}:{port}/", "host")
        except Refused as refused:
            raise CallFailed("bad_target", str(refused), retryable=False) from None
        found = await self._guard.addresses(checked)
        if isinstance(found, Failure):
            raise _failed(found)
        families = [socket.AF_INET if len(address) == 4 else socket.AF_INET6 for address in found]
        return [
            (family, (socket.inet_ntop(family, address), port)) for family, address in zip(families, found, strict=True)
        ]

    async def _open(
        self, sock: socket.socket, place: tuple[Any, ...], host: str, tls: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        await loop.sock_connect(sock, place)
        refused = self._guard.final(sock.getpeername()[0], place[1])
        if refused is not None:
            raise _failed(refused)
        reader, writer = await asyncio.open_connection(
            sock=sock,
            limit=STREAM_BYTES_MAX,
            ssl=self._ways.tls if tls else None,
            server_hostname=host if tls else None,
        )
        self._streams.append(writer)
        return reader, writer

    @property
    def tls(self) -> ssl.SSLContext:
        """The authorities that streams believe, for STARTTLS."""
        return self._ways.tls


def reply_of(answer: Answer) -> Reply:
    """An answer as plugins see it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in answer.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Reply(answer.status, headers, answer.body, answer.truncated)


def _failed(failure: Failure) -> CallFailed:
    hopeless = failure.error_type in ("bad_target", "refused_by_guard")
    return CallFailed(failure.error_type, failure.detail, retryable=not hopeless, reply=Reply(failure.status))

"""One HTTP/1.1 connection: one request out, one bounded answer in, and no opinion about what it means.

Own code because an attempt is one request on the wire: aiohttp resends idempotent methods by itself and reaches less than half
of this rate (see ARCHITECTURE.md, "Executors"). llhttp (httptools) parses; we bound, time and drop.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final, cast

import httptools
from msgspec import Struct

from squirrel.executor.guard import Failure
from squirrel.model.limits import (
    MIB,
    RESPONSE_BYTES_KEPT_MAX,
    RESPONSE_BYTES_READ_MAX,
    RESPONSE_HEADER_BYTES_MAX,
    RESPONSE_HEADERS_KEPT_MAX,
)

HEADERS_READ_MAX: Final = 256  # above what is kept; more is an attack
INTERIM_MAX: Final = 16  # 1xx answers before the real one
WIRE_BYTES_MAX: Final = MIB  # body, chunk framing and trailers together

Key = tuple[str, str, int, bytes]  # scheme, host, port, packed address: the host too, as TLS was checked for it


class Answer(Struct, gc=False):
    """A whole answer, or one cut at the limit. Header names are lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    truncated: bool


class _Unwanted(Exception):
    """Leaves the parser's callback; nobody else sees it."""


class Connection(asyncio.Protocol):
    """Made by `dial`, lent by the pool. `key` says whose it is; `idle_since` is loop time."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_bytes_in",
        "_deadline",
        "_done",
        "_head_done",
        "_header_bytes",
        "_headers",
        "_interim",
        "_interims",
        "_is_head",
        "_kept_alive",
        "_loop",
        "_parser",
        "_socket",
        "_timer",
        "_timer_at",
        "_too_large",
        "_transport",
        "_truncated",
        "_waiter",
        "idle_since",
        "key",
        "open",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, key: Key) -> None:
        self.key = key
        self.open = False
        self.idle_since = 0.0
        self._loop = loop
        self._socket = sock
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer | Failure] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._deadline = 0.0
        self._reset(False)

    def _reset(self, is_head: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._header_bytes = self._body_bytes = self._bytes_in = self._interims = 0
        self._is_head = is_head
        self._head_done = self._interim = self._done = False
        self._truncated = self._too_large = self._kept_alive = False

    # --- towards the caller --------------------------------------------------------------------------------------

    def exchange(self, request: bytes, deadline: float, is_head: bool = False) -> asyncio.Future[Answer | Failure]:
        """Writes `request` once; the future gives the answer or why there is none, by `deadline` (loop time) at the latest."""
        assert self._waiter is None, "one exchange at a time"
        assert self._transport is not None, "dial returns open connections only"
        self._reset(is_head)
        self._waiter = self._loop.create_future()
        self._deadline = deadline
        if self._timer is None or self._timer_at > deadline:
            self._arm()
        self._transport.write(request)
        return self._waiter

    def is_reusable(self) -> bool:
        """Whether the next request may go out on it: open, whole, nothing pending, and not hung up on unnoticed."""
        transport = self._transport
        if not (self.open and self._done and self._kept_alive) or transport is None or transport.is_closing():
            return False
        return not transport.get_write_buffer_size()

    def is_quiet(self) -> bool:
        """Whether nothing has arrived since: a close that the loop has not read yet would cost an attempt."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return False  # an end of file, or bytes nobody asked for

    def abort(self) -> None:
        """Drops it at once; a waiting caller is told."""
        self._finish(Failure("disconnected", "the call was given up"))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self.open = False

    # --- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            self.abort()  # bytes nobody asked for: the next answer could not be told from them
            return
        self._bytes_in += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, _Unwanted):
            self._kept_alive = False
            if not self._done:
                self._refuse()
                return
        if self._done:
            self._answered()
        elif self._head_done:
            if self._bytes_in > WIRE_BYTES_MAX:  # framing without end around a body that is still short
                self._truncated, self._kept_alive = True, False
                self._answered()
        elif self._bytes_in > 2 * RESPONSE_HEADER_BYTES_MAX:
            self._too_large = True
            self._refuse()

    def eof_received(self) -> bool:
        if self._waiter is not None:
            self._kept_alive = False
            if self._head_done and not self._is_framed():
                self._answered()
            else:
                self._lost()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._lost()

    # --- httptools callbacks -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._done:
            self._kept_alive = False  # a second answer to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # a trailer, or a second answer
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > RESPONSE_HEADER_BYTES_MAX or len(self._headers) >= HEADERS_READ_MAX:
            self._too_large = True
            raise _Unwanted
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._done:
            return
        if self._parser.get_status_code() < 200:
            self._interim = True
            self._interims += 1
            if self._interims > INTERIM_MAX:
                raise _Unwanted
            self._headers.clear()
            return
        self._head_done = True
        self._kept_alive = self._parser.should_keep_alive()
        if self._is_head:
            self._done = True
            self._kept_alive = False  # the parser waits for a body that a HEAD's answer does not have

    def on_body(self, body: bytes) -> None:
        if self._done:
            return
        room = RESPONSE_BYTES_KEPT_MAX - self._body_bytes
        self._body_bytes += len(body)
        if room > 0:
            self._body.append(body[:room])
        if self._body_bytes > RESPONSE_BYTES_READ_MAX:
            self._done, self._kept_alive = True, False

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        else:
            self._done = True

    # --- endings -------------------------------------------------------------------------------------------------

    def _answered(self) -> None:
        self._done = True
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        headers = self._headers[:RESPONSE_HEADERS_KEPT_MAX]
        truncated = self._truncated or self._body_bytes > len(body)
        self._finish(Answer(self._parser.get_status_code(), headers, body, truncated))

    def _refuse(self) -> None:
        """What came is no answer that we take: the parser, or a limit of the head, said so."""
        if self._too_large:
            limits = f"{RESPONSE_HEADER_BYTES_MAX} bytes or {HEADERS_READ_MAX} lines"
            failure = Failure("response_too_large", f"the answer's headers exceed {limits}")
        else:
            status = self._parser.get_status_code() if self._head_done else None
            failure = Failure("protocol", "the target's answer is not HTTP/1.1 as RFC 9112 has it", status)
        self._finish(failure)
        self.abort()

    def _lost(self) -> None:
        if self._waiter is None:
            return
        status = self._parser.get_status_code() if self._head_done else None
        whole = "in the middle of its answer" if self._bytes_in else "without an answer"
        self._finish(Failure("disconnected", f"the target closed the connection {whole}", status))

    def _finish(self, ending: Answer | Failure) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(ending)

    def _is_framed(self) -> bool:
        """Whether the head says where the body ends; if not, the end of the connection does."""
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self._headers)

    # --- the deadline: one timer per connection, moved on only when it fires ----------------------------------------

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() < self._deadline:
            self._arm()
            return
        status = self._parser.get_status_code() if self._head_done else None
        phase = "its answer was not whole" if self._bytes_in else "it did not answer"
        self._finish(Failure("timeout", f"the target took too long: {phase} within the timeout", status))
        self.abort()

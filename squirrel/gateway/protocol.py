"""The HTTP/1.1 protocol with what uvicorn leaves out: a deadline and a size for a request's head, and problem documents.

Source: reference/reliability.md 3.3, "Gateway intake": uvicorn has no deadline for receiving a request and, with httptools, no
limit for headers, so one client with a thousand half-sent requests could hold every socket.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from squirrel.gateway.limits import CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_SECONDS_MAX, KEEP_ALIVE_SECONDS
from squirrel.gateway.problems import MEDIA_TYPE, Answered
from squirrel.wire.public import raw_json

_STATUS_TEXTS: Final = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's httptools protocol with limits on the head of each request and on open connections."""

    head_seconds: float = HEAD_SECONDS_MAX

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_bytes = 0
        self._in_head = True
        self._head_deadline: asyncio.TimerHandle | None = None
        if len(self.connections) > CONNECTIONS_MAX:
            self._end(Answered("unavailable", "too many connections are open; try again", headers={"Retry-After": "1"}))
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
            self._expect_head()
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self._end(Answered("headers_too_large", f"the head of a request has at most {HEAD_BYTES_MAX} bytes"))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._forget_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._forget_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_head and not self.transport.is_closing():
            self._expect_head()  # answered before its body was through: the rest has a deadline too

    def send_400_response(self, msg: str) -> None:
        self._end(Answered("bad_request", msg))

    def timeout_keep_alive_handler(self) -> None:
        """A client that still has not taken its last answer is cut off; `close` would wait for it for ever."""
        if self.transport.get_write_buffer_size() > 0:
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _expect_head(self) -> None:
        if self._head_deadline is None:
            self._head_deadline = self.loop.call_later(self.head_seconds, self._head_is_late)

    def _forget_deadline(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _head_is_late(self) -> None:
        self._head_deadline = None
        if self._in_head:
            reason = f"the headers did not arrive within {self.head_seconds:g} s; send them at once"
            self._end(Answered("request_timeout", reason))
        else:
            self.transport.close()

    def _end(self, problem: Answered) -> None:
        """Answers outside of any application, and closes; says nothing when an answer is already on its way."""
        cycle: Any = self.cycle  # None until the first request
        if cycle is None or cycle.response_complete:
            body = raw_json(problem.document())
            lines = [
                f"HTTP/1.1 {problem.status} {_STATUS_TEXTS[problem.status]}",
                f"content-type: {MEDIA_TYPE}",
                f"content-length: {len(body)}",
                "connection: close",
                *(f"{name}: {value}" for name, value in problem.headers.items()),
            ]
            self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self.transport.close()


def server_config(app: Any, host: str, port: int, *, fd: int | None = None) -> uvicorn.Config:
    """How the gateway is served; logging stays with the runtime."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        fd=fd,
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=4,  # all services end within 5 s
    )

"""The HTTP/1.1 protocol with what uvicorn leaves out: deadlines and a size for what a client sends, and problem documents.

Source: reference/reliability.md 3.3, "Gateway intake": uvicorn has no deadline for receiving a request and, with httptools, no
limit for headers, so one client with a thousand half-sent requests could hold every socket. A request has at most three waits,
each with a timer here: for the end of its head, for the end of its body, and for the client to take its answer.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from squirrel.gateway.limits import (
    BODY_SECONDS_MAX,
    CONNECTIONS_MAX,
    HEAD_BYTES_MAX,
    HEAD_SECONDS_MAX,
    KEEP_ALIVE_SECONDS,
    LINGER_SECONDS,
    SEND_SECONDS_MAX,
)
from squirrel.gateway.problems import MEDIA_TYPE, Answered
from squirrel.wire.public import raw_json


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's httptools protocol with limits on each request's head, on its pace, and on open connections."""

    head_seconds: float = HEAD_SECONDS_MAX
    body_seconds: float = BODY_SECONDS_MAX
    send_seconds: float = SEND_SECONDS_MAX
    linger_seconds: float = LINGER_SECONDS
    connections_max: int = CONNECTIONS_MAX

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_bytes = 0
        self._in_head = True
        self._lingering = False
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None
        if len(self.connections) > self.connections_max:
            self._end(Answered("unavailable", "too many connections are open; try again", headers={"Retry-After": "1"}))
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiving = _cancel(self._receiving)
        self._sending = _cancel(self._sending)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._receiving is None:
                self._expect_head()
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self._end(
                Answered("headers_too_large", f"the head of a request has at most {HEAD_BYTES_MAX} bytes"), linger=True
            )

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        _cancel(self._receiving)
        self._receiving = self.loop.call_later(self.body_seconds, self._body_is_late)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._receiving = _cancel(self._receiving)
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client does not take its answer as fast as it is written: it has some time to."""
        super().pause_writing()
        _cancel(self._sending)
        self._sending = self.loop.call_later(self.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._sending = _cancel(self._sending)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._end(Answered("bad_request", msg))

    def timeout_keep_alive_handler(self) -> None:
        """A client that still has not taken its last answer is cut off; `close` would wait for it for ever."""
        if self.transport.get_write_buffer_size() > 0:
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _expect_head(self) -> None:
        self._receiving = self.loop.call_later(self.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._receiving = None
        reason = f"the headers did not arrive within {self.head_seconds:g} s; send them at once"
        self._end(Answered("request_timeout", reason))

    def _body_is_late(self) -> None:
        self._receiving = None
        reason = f"the body did not arrive within {self.body_seconds:g} s; send it again"
        self._end(Answered("request_timeout", reason))

    def _end(self, problem: Answered, *, linger: bool = False) -> None:
        """Answers outside of any application, and closes; says nothing when an answer is already on its way.

        `linger`: the client is still sending; closing at once would reset the connection before it has read why.
        """
        cycle: Any = self.cycle  # None until the first request
        if cycle is None or cycle.response_complete or not cycle.response_started:
            body = raw_json(problem.document())
            lines = [
                f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
                f"content-type: {MEDIA_TYPE}",
                f"content-length: {len(body)}",
                "connection: close",
                *(f"{name}: {value}" for name, value in problem.headers.items()),
            ]
            self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True  # the application's own answer would be a second one
                cycle.message_event.set()
        if linger:
            self._lingering = True
            _cancel(self._receiving)
            self._receiving = self.loop.call_later(self.linger_seconds, self.transport.close)
        else:
            self.transport.close()


def _cancel(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """Nothing, for where the timer stood."""
    if timer is not None:
        timer.cancel()
    return None


def server_config(
    app: Any, host: str, port: int, *, protocol: type[BoundedHttp] = BoundedHttp, fd: int | None = None
) -> uvicorn.Config:
    """How the gateway is served; logging stays with the runtime."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        fd=fd,
        http=protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=4,  # all services end within 5 s
    )

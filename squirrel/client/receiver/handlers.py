"""Handlers by event, served under ASGI (Starlette, uvicorn, hypercorn) and WSGI (Flask, gunicorn, mod_wsgi)."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final, NamedTuple, TypeVar

from squirrel.client.patterns import matches
from squirrel.client.receiver.verifying import NotVerified, Received, verify
from squirrel.model.limits import MIB

BODY_BYTES_MAX: Final = MIB  # four times the largest message Squirrel sends
Handler = Callable[[Received], Any]
H = TypeVar("H", bound=Handler)
Message = MutableMapping[str, Any]
log = logging.getLogger(__name__)


class Later(Exception):
    """Raised by a handler: not now; the next attempt comes `after_seconds` from now (503 with Retry-After)."""

    def __init__(self, after_seconds: int) -> None:
        super().__init__(f"again in {after_seconds} s")
        self.after_seconds = after_seconds


class Stop(Exception):
    """Raised by a handler: never again; the schedule ends (410)."""


class Reply(NamedTuple):
    """What the sender is answered."""

    status: int
    text: str = ""
    retry_after_seconds: int | None = None

    def headers(self) -> list[tuple[str, str]]:
        found = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(self.text.encode())))]
        return found if self.retry_after_seconds is None else [*found, ("retry-after", str(self.retry_after_seconds))]


class Receiver:
    """Verifies each call and hands it to the handler of its event.

    A handler that returns has succeeded (204); one that raises is called again as the schedule's retry policy says (500),
    `Later` and `Stop` say more. A call may arrive twice, after a crash or a lost answer: `received.id` is the same then.
    """

    def __init__(
        self,
        secrets: str | Iterable[str],
        *,
        # The one place of the SDK that is about now; whoever tests a receiver hands another clock in.
        now: Callable[[], float] = time.time,  # noqa: TID251
    ) -> None:
        self._secrets = (secrets,) if isinstance(secrets, str) else tuple(secrets)
        self._now = now
        self._handlers: list[tuple[str, Handler]] = []

    def on(self, pattern: str) -> Callable[[H], H]:
        """Decorator: this function, plain or async, takes the events of `pattern`. Those registered first win."""

        def add(handler: H) -> H:
            self._handlers.append((pattern, handler))
            return handler

        return add

    async def asgi(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """The ASGI application: `uvicorn module:receiver.asgi`, or mounted into another."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())}
        body = await _body(receive)
        reply = self._refusal(scope["method"], body)
        if reply is None and body is not None:
            reply = await self._answer(headers, body)
        assert reply is not None
        listed = [(name.encode(), value.encode()) for name, value in reply.headers()]
        await send({"type": "http.response.start", "status": reply.status, "headers": listed})
        await send({"type": "http.response.body", "body": reply.text.encode()})

    def wsgi(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        """The WSGI application. Async handlers run in a loop of their own."""
        headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
        length = str(environ.get("CONTENT_LENGTH") or "0")
        size = int(length) if length.isascii() and length.isdigit() else 0
        body = environ["wsgi.input"].read(size) if size <= BODY_BYTES_MAX else None
        reply = self._refusal(environ["REQUEST_METHOD"], body)
        if reply is None and body is not None:
            reply = asyncio.run(self._answer(headers, body))
        assert reply is not None
        start_response(f"{reply.status} {_PHRASES.get(reply.status, 'Done')}", reply.headers())
        return iter((reply.text.encode(),))

    def _refusal(self, method: str, body: bytes | None) -> Reply | None:
        if method not in ("POST", "PUT", "PATCH"):
            return Reply(405, "a schedule's target is called with POST")
        return Reply(413, f"more than {BODY_BYTES_MAX} bytes") if body is None else None

    async def _answer(self, headers: Mapping[str, str], body: bytes) -> Reply:
        try:
            call = verify(headers, body, self._secrets, self._now())
        except NotVerified as error:
            return Reply(401, str(error))
        handler = next((handler for pattern, handler in self._handlers if matches(pattern, call.event)), None)
        if handler is None:
            return Reply(404, f"nothing here handles the event {call.event}")
        try:
            if inspect.iscoroutinefunction(handler):
                await handler(call)
            else:
                await asyncio.to_thread(handler, call)
        except Later as later:
            return Reply(503, str(later), later.after_seconds)
        except Stop:
            return Reply(410, "no more of this schedule")
        except Exception:
            log.exception("the handler of %s failed in attempt %d of run %s", call.event, call.attempt, call.id)
            return Reply(500, "the handler failed; see the receiver's log")
        return Reply(204)


_PHRASES: Final = {204: "No Content", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed", 410: "Gone"} | {
    413: "Content Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


async def _body(receive: Callable[[], Awaitable[Message]]) -> bytes | None:
    """The whole body, or None when it is over the limit."""
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > BODY_BYTES_MAX:
            return None
        if not message.get("more_body"):
            return body


async def _lifespan(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return

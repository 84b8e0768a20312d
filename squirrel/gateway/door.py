"""The door in front of every call: how many, how large, how slow and by whom; and no answer that is not a problem document.

A plain ASGI middleware, because the framework bounds nothing of this. A body is read here, counted, and handed on whole;
handlers take it with `body_of`. How slowly bytes may come and go is the protocol's to bound (`protocol.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from squirrel.gateway.access import Access, takes_token
from squirrel.gateway.audit_notes import NOTES, OPERATION, Notes
from squirrel.gateway.audit_trail import AuditTrail
from squirrel.gateway.large_body import LOOKED_AT_BYTES_MAX, largest_part
from squirrel.gateway.limits import (
    BODIES_BYTES_MAX,
    DRAIN_BYTES_MAX,
    HEADERS_BYTES_MAX,
    HEADERS_MAX,
    QUERY_BYTES_MAX,
    REQUESTS_IN_FLIGHT_MAX,
)
from squirrel.gateway.problems import Answered
from squirrel.model.limits import BODY_BYTES_MAX, REQUEST_BYTES_MAX

_BODY = "squirrel.body"
_PROBES = frozenset({"/healthz", "/readyz", "/health", "/metrics"})  # asked most when everything else is full
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_CLOSE = {"Connection": "close"}
log = logging.getLogger(__name__)


def body_of(request: Request) -> bytes:
    """The whole body of the request, as the door read it."""
    body: bytes = request.scope.get(_BODY, b"")
    return body


class Door:
    """`answered` is told (method, status, seconds) of each call, for metrics."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        monotonic: Callable[[], float],
        answered: Callable[[str, int, float], None],
        requests_max: int = REQUESTS_IN_FLIGHT_MAX,
        audit: AuditTrail | None = None,
    ) -> None:
        self._app = app
        self._access = access
        self._monotonic = monotonic
        self._answered = answered
        self._requests_max = requests_max
        self._audit = audit
        self._in_flight = 0
        self._body_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        notes = Notes() if self._audit is not None and scope["method"] in _WITH_BODY else None
        exchange = _Exchange(scope, send, self._audit, notes)
        noting = NOTES.set(notes)
        began = self._monotonic()
        self._in_flight += 1
        held = 0
        try:
            headers = self._check_head(scope)
            if scope["method"] in _WITH_BODY:
                body = await self._read_body(scope, headers, receive)
                held = len(body)
                self._body_bytes += held
                scope[_BODY] = body
                receive = _replay(body, receive)
            await self._app(scope, receive, exchange.send)
        except Answered as problem:
            await exchange.answer(scope, problem)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            await exchange.answer(scope, Answered("internal", "the fault is ours and is in the gateway's log"))
        finally:
            NOTES.reset(noting)
            self._in_flight -= 1
            self._body_bytes -= held
            self._answered(scope["method"], exchange.status, self._monotonic() - began)

    def _check_head(self, scope: Scope) -> dict[bytes, bytes]:
        """The headers as a dictionary (last one wins). Raises Answered."""
        pairs = scope["headers"]
        if len(pairs) > HEADERS_MAX or sum(len(name) + len(value) for name, value in pairs) > HEADERS_BYTES_MAX:
            raise Answered(
                "headers_too_large",
                f"at most {HEADERS_MAX} headers with {HEADERS_BYTES_MAX} bytes together are taken; send fewer",
                headers=_CLOSE,
            )
        if len(scope["query_string"]) > QUERY_BYTES_MAX:
            raise Answered("too_large", f"the query has more than {QUERY_BYTES_MAX} bytes; send less", headers=_CLOSE)
        headers = dict(pairs)
        if not takes_token(scope["path"], headers):
            self._access.check(scope["path"], headers.get(b"authorization"))
        if self._in_flight > self._requests_max and scope["path"] not in _PROBES:
            raise _busy(f"{self._requests_max} calls are under way, which is this gateway's limit")
        if self._audit is not None and self._audit.is_full and scope["method"] in _WITH_BODY:
            raise _busy("Kafka takes no audit records, and no change is made without one")
        return headers

    async def _read_body(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body within its limit and its time. Raises Answered."""
        limit = BODY_BYTES_MAX if scope["path"].endswith(":batch") else REQUEST_BYTES_MAX
        if headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
            raise Answered(
                "unsupported_encoding",
                "send the body without Content-Encoding",
                headers={"Accept-Encoding": "identity"} | _CLOSE,
            )
        announced = int(text) if (text := headers.get(b"content-length", b"0")).isdigit() else 0
        if announced > DRAIN_BYTES_MAX:
            raise _too_large(limit, announced, _CLOSE)
        if self._body_bytes + min(announced, limit) > BODIES_BYTES_MAX:
            raise _busy("the bodies of the calls under way fill this gateway's memory")
        return await _read(receive, limit)


async def _read(receive: Receive, limit: int) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit, len(body), beginning=body)
        return body
    beginning = b""
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise Answered("bad_request", "the connection closed before the body was complete", headers=_CLOSE)
        part = message.get("body", b"")
        size += len(part)
        if size <= limit:
            parts.append(part)
        elif not beginning:
            beginning = b"".join([*parts, part[:LOOKED_AT_BYTES_MAX]])[:LOOKED_AT_BYTES_MAX]
            parts.clear()
        if size > DRAIN_BYTES_MAX:
            raise _too_large(limit, size, _CLOSE, beginning)
        if not message.get("more_body", False):
            break
        message = await receive()
    if size > limit:
        raise _too_large(limit, size, beginning=beginning)
    return b"".join(parts)


def _too_large(limit: int, size: int, headers: dict[str, str] | None = None, beginning: bytes = b"") -> Answered:
    errors = largest_part(beginning)
    more = "".join(f"; {each.field}: {each.reason}" for each in errors)
    detail = f"the body has {size} bytes, the limit is {limit}; send less at once{more}"
    return Answered("too_large", detail, errors=errors, headers=headers)


def _busy(reason: str) -> Answered:
    return Answered("unavailable", f"{reason}; send again", headers={"Retry-After": "1"})


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once, whole, for whoever reads it the framework's way."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


class _Exchange:
    """The answer's way out: remembers its status, and whether it has begun. A change is on record before its answer is."""

    __slots__ = ("_audit", "_notes", "_scope", "_send", "started", "status")

    def __init__(self, scope: Scope, send: Send, audit: AuditTrail | None, notes: Notes | None) -> None:
        self._scope = scope
        self._send = send
        self._audit = audit
        self._notes = notes
        self.status = 0
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.started = True
            if self._notes is not None and self._audit is not None and OPERATION in self._scope:
                await self._audit.record(self._scope, self._notes, self.status, dict(message.get("headers", ())))
        await self._send(message)

    async def answer(self, scope: Scope, problem: Answered) -> None:
        """The problem document, unless an answer has begun: then all that is left is to end the connection."""
        if not self.started:
            await problem.response()(scope, _no_more, self.send)


async def _no_more() -> dict[str, Any]:
    return {"type": "http.disconnect"}

"""One call of a foreign API and its answer: read leniently, refused in that API's own shape."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from squirrel.gateway.audit_notes import OPERATION
from squirrel.gateway.call import QUERY_PARAMETERS_MAX, Call
from squirrel.gateway.problems import Answered, of_refused, of_unavailable
from squirrel.model.errors import Refused, SquirrelError, Unavailable
from squirrel.model.limits import REQUEST_BYTES_MAX
from squirrel.wire.documents import answer_json, read_document
from squirrel.wire.documents.json_text import Document


class Declined(SquirrelError):
    """A call ends with this status in the seed's shape; `body` replaces the shape where the seed has a special one."""

    def __init__(self, status: int, text: str, body: Any = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.body = body


class ForeignCall(Call):
    """A call whose unknown query parameters are ignored, as every seed does; the first of several values counts."""

    def __init__(self, scope: Scope, path: Mapping[str, str]) -> None:
        super().__init__({**scope, "query_string": b""}, path, ())
        self.scope = scope
        self.query = _lenient(scope["query_string"])

    def document(self) -> Document:
        """The body, one JSON object. Raises NotJson or Refused."""
        return read_document(self.body, REQUEST_BYTES_MAX)

    def whole(self, name: str, default: int, maximum: int) -> int:
        """A whole number from 1; anything else is the default, as in the seeds, and what is larger is the maximum."""
        text = self.query.get(name, "")
        value = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
        return min(value, maximum) if value > 0 else default


def _lenient(query: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=QUERY_PARAMETERS_MAX)
    except ValueError:
        return found
    for name, value in pairs:
        found.setdefault(name, value)
    return found


Handler = Callable[[ForeignCall], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Seed:
    """How one foreign API answers what it does not do."""

    name: str
    error: Callable[[int, str], Any]  # (status, text) -> the body of an error
    no_route: Callable[[], Response]  # an unknown path
    no_method: Callable[[], Response]  # a known path, another method


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON, raw fragments embedded as they are."""
    return Response(answer_json(value), status, headers, "application/json")


def text_answer(text: str, status: int) -> Response:
    """Plain text, as some seeds answer unknown paths."""
    return Response(text, status, media_type="text/plain; charset=utf-8")


class ForeignEndpoint:
    """All methods of one foreign path; an ASGI application."""

    def __init__(self, seed: Seed, handlers: Mapping[str, Handler]) -> None:
        self._seed = seed
        self._handlers = dict(handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        handler = self._handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            response = self._seed.no_method()
        else:
            if method not in ("GET", "HEAD"):
                scope[OPERATION] = f"{self._seed.name}_{handler.__name__}"
            response = await answered(self._seed, handler, scope)
        await response(scope, receive, send)


async def answered(seed: Seed, handler: Handler, scope: Scope) -> Response:
    """The handler's answer, or what it raised in the seed's shape."""
    try:
        return await handler(ForeignCall(scope, scope["path_params"]))
    except Declined as declined:
        body = declined.body if declined.body is not None else seed.error(declined.status, declined.text)
        return json_answer(body, declined.status)
    except Answered as problem:
        return _problem(seed, problem)
    except Refused as refused:
        return _problem(seed, of_refused(refused))
    except Unavailable as unavailable:
        return _problem(seed, of_unavailable(unavailable))


def _problem(seed: Seed, problem: Answered) -> Response:
    status = 400 if problem.status == 422 else problem.status  # none of them answers 422 but one, which says so itself
    return json_answer(seed.error(status, problem.detail), status, problem.headers)

"""Problem documents (RFC 9457): the one shape of every answer that is not what the caller wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from squirrel.model.errors import Problem, Refused, SquirrelError, Unavailable
from squirrel.wire.public import raw_json

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:squirrel:problem:"


class Kind(NamedTuple):
    """A kind of problem: its status and the title all of its answers share."""

    status: int
    title: str


KINDS: Final[Mapping[str, Kind]] = {
    "not_json": Kind(400, "The body is not JSON"),
    "bad_request": Kind(400, "The request cannot be read"),
    "unauthorized": Kind(401, "A valid token is needed"),
    "not_found": Kind(404, "Not found"),
    "method_not_allowed": Kind(405, "This path does not take this method"),
    "request_timeout": Kind(408, "The request did not arrive in time"),
    "conflict": Kind(409, "The id is taken by other content"),
    "too_late": Kind(409, "The run is already in flight or finished"),
    "stale_revision": Kind(412, "If-Match is not the current revision"),
    "too_large": Kind(413, "The body is too large"),
    "unsupported_encoding": Kind(415, "The body is compressed"),
    "invalid": Kind(422, "The content cannot be taken as it is"),
    "idempotency_key_reused": Kind(422, "The Idempotency-Key came with another body before"),
    "headers_too_large": Kind(431, "The headers are too large"),
    "internal": Kind(500, "Something here is broken"),
    "unavailable": Kind(503, "A part this call needs is away"),
}


class Answered(SquirrelError):
    """A call ends with this problem document; raised anywhere below a handler, answered by the application.

    `kind` is one of `KINDS`, `extra` further members of the document (`run` on a 409).
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: Iterable[Problem] = (),
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        return KINDS[self.kind].status

    def document(self) -> dict[str, Any]:
        """type, title, status, detail, and `errors` when fields are at fault."""
        document: dict[str, Any] = {
            "type": TYPE_PREFIX + self.kind,
            "title": KINDS[self.kind].title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [{"field": each.field, "reason": each.reason} for each in self.errors]
        return document | self.extra

    def response(self) -> Response:
        return Response(raw_json(self.document()), self.status, self.headers, MEDIA_TYPE)


def of_refused(refused: Refused) -> Answered:
    """What the readers of `wire.documents` refuse: 400 when it is no JSON, 413 when too large, else 422."""
    kind = refused.code if refused.code in ("not_json", "too_large") else "invalid"
    return Answered(kind, str(refused), errors=refused.problems)


def of_unavailable(unavailable: Unavailable) -> Answered:
    """503 with the seconds after which asking again makes sense."""
    return Answered(
        "unavailable", str(unavailable), headers={"Retry-After": str(max(1, unavailable.retry_after_seconds))}
    )


def invalid(field: str, reason: str) -> Answered:
    """422 for one field, parameter or header."""
    return Answered("invalid", f"{field}: {reason}", errors=[Problem(field, reason)])


def of_status(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Answered:
    """What the framework itself answers (unknown path, wrong method) in our shape."""
    kind = {404: "not_found", 405: "method_not_allowed"}.get(status, "bad_request")
    return Answered(kind, detail or HTTPStatus(status).phrase, headers=headers)

"""What a call can end with; every error carries what the server said.

SquirrelError
└── ClientError            the answer is not what was asked for; `status`, `problem` (the RFC 9457 document), `detail`
    ├── Unauthorised       401, 403: no valid token, or one of another namespace
    ├── NotFound           404
    ├── Conflict           409, 412: the id is taken, the revision is stale, or too late; `run` is the run that was in the way
    ├── Invalid            400, 413, 422 and their like; `errors` name the fields
    └── Unavailable        429, 5xx; `retry_after_seconds`
        └── Unreachable    no answer came at all; `status` is 0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from squirrel.model.errors import Problem, SquirrelError


class ClientError(SquirrelError):
    """The server answered something else than what was asked for."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after_seconds: float | None = None) -> None:
        self.status = status
        self.problem = dict(problem)
        self.detail = str(problem.get("detail") or problem.get("title") or f"the server answered {status}")
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self.detail)

    @property
    def kind(self) -> str:
        """The last part of the problem's type: `too_late`, `conflict`, `invalid`; empty when there is none."""
        return str(self.problem.get("type") or "").rpartition(":")[2]


class Unauthorised(ClientError):
    """The token is missing, wrong, or not allowed to do this."""


class NotFound(ClientError):
    """There is no such schedule, run, route or call."""


class Conflict(ClientError):
    """The id is taken by other content, the revision is stale, or the run is under way or over."""

    @property
    def run(self) -> dict[str, Any] | None:
        """The run that was in the way, when it was too late."""
        run = self.problem.get("run")
        return run if isinstance(run, dict) else None


class Invalid(ClientError):
    """The content cannot be taken as it is."""

    @property
    def errors(self) -> list[Problem]:
        """Field (dotted, as it was sent) and reason."""
        listed = self.problem.get("errors") or []
        return [Problem(str(each.get("field", "")), str(each.get("reason", ""))) for each in listed]


class Unavailable(ClientError):
    """A part the call needs is away, or the server asks for a slower pace; the attempts were used up."""


class Unreachable(Unavailable):
    """No answer: nothing listens there, the connection broke, or the time ran out."""

    def __init__(self, reason: str) -> None:
        super().__init__(0, {"title": "No answer", "detail": reason})


_BY_STATUS: Final[Mapping[int, type[ClientError]]] = {
    401: Unauthorised,
    403: Unauthorised,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    429: Unavailable,
}


def error_of(status: int, problem: Mapping[str, Any], retry_after_seconds: float | None = None) -> ClientError:
    """The error of the tree that this answer is."""
    kind = _BY_STATUS.get(status) or (Unavailable if status >= 500 else Invalid)
    return kind(status, problem, retry_after_seconds)

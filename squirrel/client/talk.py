"""One call as a conversation without a network: what to send, how long to wait, when to give up, how to read the answer.

A conversation is a generator. It yields `Send` and is sent an `Answer` or `Lost`, yields `Wait` and is sent None, yields `Found`
(some items of a list) and is sent None; it returns the value or raises a `ClientError`. `Client` and `AsyncClient` only carry
the steps out, so that nothing is decided twice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from squirrel.client.errors import ClientError, Unreachable, error_of

T = TypeVar("T")
TRIES_MAX: Final = 5
WAIT_SECONDS_FIRST: Final = 0.2
WAIT_SECONDS_MAX: Final = 30.0  # also of what a Retry-After may ask for: a caller's thread is not ours to park for long
RETRIED: Final = frozenset({429, 503})
BROKEN: Final = frozenset({502, 504})  # a proxy lost the server's answer: like a lost connection


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP call. `repeatable`: sending it twice does what sending it once does."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer. `sent`: the server may have read the request, so only a repeatable one goes again."""

    reason: str
    sent: bool


@dataclass(frozen=True, slots=True)
class Send:
    request: Request


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    items: list[Any]


Step = Send | Wait | Found
Heard = Answer | Lost | None
Talk = Generator[Step, Heard, T]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call goes out, and how long between two.

    `draw()` gives 0 to 1: callers that failed together come back apart.
    """

    draw: Callable[[], float]
    tries_max: int = TRIES_MAX

    def wait_seconds(self, tries: int, asked_seconds: float | None) -> float:
        """After `tries` calls: what the server asked for, else 0.2 s doubled each time, half of it drawn."""
        if asked_seconds is not None:
            return min(max(asked_seconds, 0.0), WAIT_SECONDS_MAX)
        doubled = min(WAIT_SECONDS_FIRST * 2.0 ** (tries - 1), WAIT_SECONDS_MAX)
        return doubled * (0.5 + 0.5 * self.draw())


def ask(request: Request, patience: Patience) -> Talk[Answer]:
    """Sends until there is an answer below 400. Raises ClientError, Unreachable when none came."""
    tries = 0
    while True:
        tries += 1
        heard = yield Send(request)
        failure: ClientError
        if isinstance(heard, Answer):
            if heard.status < 400:
                return heard
            failure = error_of(heard.status, problem_of(heard), retry_after_seconds(heard))
            again = heard.status in RETRIED or (heard.status in BROKEN and request.repeatable)
            # A 503 may come after the write was begun; only what may be done twice is sent twice. 429 is said before.
            again = again and (request.repeatable or heard.status == 429)
        else:
            lost = heard or Lost("the connection was closed", sent=True)
            failure = Unreachable(lost.reason)
            again = request.repeatable or not lost.sent
        if not again or tries >= patience.tries_max:
            raise failure
        yield Wait(patience.wait_seconds(tries, failure.retry_after_seconds))


def read(kind: type[T], answer: Answer) -> T:
    """The JSON of an answer as `kind`. Raises Unreachable's kin when it is something else: that is no Squirrel."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.MsgspecError as error:
        name = getattr(kind, "__name__", kind)
        detail = f"the answer is not a {name} ({error}); is this a Squirrel server, not older than the client?"
        raise error_of(502, {"title": "Unreadable answer", "detail": detail}) from error


def problem_of(answer: Answer) -> dict[str, Any]:
    """The problem document; what is none (a proxy's page) becomes one with the first line of its text."""
    try:
        document = msgspec.json.decode(answer.body)
    except msgspec.MsgspecError:
        text = answer.body[:200].decode("utf-8", "replace").strip()
        return {"status": answer.status, "detail": f"the server answered {answer.status}: {text}" if text else None}
    if not isinstance(document, dict):
        return {"status": answer.status}
    if "detail" not in document and isinstance(document.get("error"), str):  # the seeds' APIs
        return {**document, "detail": document["error"]}
    return document


def retry_after_seconds(answer: Answer) -> float | None:
    """`Retry-After` in seconds; its date form is left to the caller's own pace."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None

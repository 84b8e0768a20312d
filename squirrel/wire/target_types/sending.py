"""What `send` of a target type gets and gives: a guarded network, a reply, or a failure that says whether a retry may mend it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson
from msgspec import Struct

from squirrel.wire.attempt import Attempt, ErrorType


class Reply(Struct, frozen=True):
    """What the target said: it becomes the attempt's status, headers and body. Header names are lower case."""

    status: int | None = None
    headers: Mapping[str, str] = {}
    body: bytes = b""
    truncated: bool = False


class CallFailed(Exception):
    """The call got no success. `detail` is a sentence for the user: no address, no secret. `retryable`: a repeat may mend it."""

    def __init__(
        self,
        error_type: ErrorType,
        detail: str,
        *,
        retryable: bool = True,
        reply: Reply | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.error_type: ErrorType = error_type
        self.detail = detail
        self.retryable = retryable
        self.reply = reply or Reply()
        self.retry_after_ms = retry_after_ms


class Network(Protocol):
    """The only way out: every name is resolved once, every address checked, and exactly the checked one is dialled.

    All of it ends by the attempt's timeout; `CallFailed` is raised for what goes wrong.
    """

    @property
    def now_ms(self) -> int:
        """Epoch milliseconds at which this attempt started."""
        ...

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """One HTTP/1.1 request, one bounded answer of whatever status. No redirects, no unpacking, no proxies."""
        ...

    async def connect(self, host: str, port: int, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream to a checked address; it is dropped when the attempt ends."""
        ...

    async def addresses(self, host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
        """(family, socket address) of each checked address, for a library that must dial by itself. Prefer `connect`."""
        ...

    @property
    def tls(self) -> ssl.SSLContext:
        """The authorities that `connect` believes, for STARTTLS on a stream."""
        ...

    async def token(self, key: str, fetch: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        """What `fetch` gave for `key`, fetched once for all calls: (token, seconds it is good for). `key` may hold secrets."""
        ...

    def forget_token(self, key: str) -> None:
        """The target refused it: the next call fetches anew."""
        ...


Send = Callable[..., Awaitable[Reply]]  # (config, attempt, network)


def expect_success(reply: Reply, *, retry_4xx: bool = False) -> Reply:
    """The reply when its status is 2xx. Raises CallFailed: 4xx other than 408, 425 and 429 are final, all else may mend."""
    status = reply.status or 0
    if 200 <= status < 300:
        return reply
    retryable = retry_4xx or not 400 <= status < 500 or status in (408, 425, 429)
    raise CallFailed("status", f"the target answered {status}", retryable=retryable, reply=reply)


def text_of(attempt: Attempt) -> tuple[str, dict[str, object]]:
    """(text for people, the message when it is an object): a string as it is, an object's `text`, else the JSON, indented."""
    try:
        message = orjson.loads(attempt.message)
    except ValueError:
        return attempt.message.decode("utf-8", "replace"), {}
    if isinstance(message, str):
        return message, {}
    if isinstance(message, dict):
        for name in ("text", "body", "content"):
            if isinstance(message.get(name), str):
                return message[name], message
        return orjson.dumps(message, option=orjson.OPT_INDENT_2).decode(), message
    return ("" if message is None else orjson.dumps(message).decode()), {}

"""Who may call: one token, bearer or bare, compared in constant time; health, docs and the front page are open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Final

from squirrel.gateway.problems import Answered
from squirrel.model.completion_token import HEADER

OPEN_PATHS: Final = frozenset(
    {
        "/",
        "/health",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/asyncapi.json",
        "/docs",
        "/docs/openapi.yml",
        "/swagger-ui",
        "/swagger-ui/",
    }
)


_TOKEN: Final = HEADER.encode()
_BY_TOKEN: Final = (":complete", ":heartbeat")


def takes_token(path: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether the call is let in by its completion token, which its handler insists on (`completing.py`)."""
    return _TOKEN in headers and path.startswith("/api/v1/runs/") and path.endswith(_BY_TOKEN)


class Access:
    """`token` None lets everyone in; `foreign` gives the refusal of a path that answers in another API's shape."""

    def __init__(self, token: str | None, foreign: Callable[[str], Answered | None] = lambda _: None) -> None:
        self._token = token.encode() if token else None
        self._foreign = foreign

    def check(self, path: str, authorization: bytes | None) -> None:
        """Raises Answered 401. `authorization` is the header's value, `Bearer <token>` or the bare token."""
        if self._token is None or path in OPEN_PATHS:
            return
        given = authorization or b""
        if given[:7].lower() == b"bearer ":
            given = given[7:].strip()
        if not compare_digest(given, self._token):
            if (problem := self._foreign(path)) is not None:
                raise problem
            detail = "the token is not valid" if authorization else "no token was sent"
            raise Answered(
                "unauthorized",
                f"{detail}; send the header Authorization: Bearer <token>",
                headers={"WWW-Authenticate": "Bearer"},
            )

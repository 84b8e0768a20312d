"""httpx at the edge, for both clients: how a request is handed over and what came back is read. No decisions here."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

import httpx

from squirrel.client.live import SILENCE_SECONDS_MAX
from squirrel.client.talk import Answer, Lost, Request

URL_DEFAULT: Final = "http://127.0.0.1:8080"
TIMEOUT_SECONDS_DEFAULT: Final = 30.0
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def options(url: str, token: str | None, namespace: str | None, timeout_seconds: float) -> dict[str, Any]:
    """Arguments of `httpx.Client` and `httpx.AsyncClient`. Redirects are not followed: a token must not travel."""
    headers = {"user-agent": f"squirrel-python/{version('squirrel')}", "accept": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    if namespace:
        headers["squirrel-namespace"] = namespace
    return {"base_url": url.rstrip("/"), "headers": headers, "timeout": timeout_seconds}


def arguments(request: Request) -> dict[str, Any]:
    """Arguments of `.request()`."""
    return {
        "method": request.method,
        "url": request.path,
        "params": dict(request.query) or None,
        "headers": dict(request.headers),
        "content": request.body,
    }


def stream_timeout() -> httpx.Timeout:
    """A stream has no end; a long silence ends it."""
    return httpx.Timeout(TIMEOUT_SECONDS_DEFAULT, read=SILENCE_SECONDS_MAX)


def answered(response: httpx.Response) -> Answer:
    return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.content)


def lost(error: httpx.HTTPError | httpx.InvalidURL, url: str) -> Lost:
    """Whether the request may have reached the server, and a sentence that says where we looked."""
    kind = type(error).__name__
    if isinstance(error, _NEVER_SENT):
        return Lost(
            f"nothing answers at {url} ({str(error) or kind}); is the server running, and is the address right?",
            sent=False,
        )
    if isinstance(error, httpx.TimeoutException):
        return Lost(f"{url} did not answer in time ({kind})", sent=True)
    return Lost(f"the connection to {url} broke ({str(error) or kind})", sent=True)

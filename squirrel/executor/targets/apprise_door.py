"""Apprise behind our guard: its plugins call requests, and while one of ours does, requests goes out through here.

Apprise is synchronous, so a call has a thread; its sockets are dialled by us to checked addresses, follow no redirect, ask no
proxy and no .netrc, read bounded answers, and are shut when the attempt's time is up. Only services that speak plain HTTP are
taken, and of their options only those that read no local file.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import lru_cache
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from squirrel.wire.target_types import Attempt, CallFailed, Network, Reply, text_of
from squirrel.wire.target_types.messengers import AppriseConfig

SERVICES: Final = frozenset(
    {
        "discord", "gchat", "gotify", "gotifys", "json", "jsons", "line", "mmost", "mmosts", "msteams", "ntfy", "ntfys",
        "opsgenie", "pagerduty", "pbul", "prowl", "pushy", "pover", "rocket", "rockets", "ryver", "sendgrid", "slack",
        "splunk", "tgram", "twilio", "victorops", "webex", "workflow", "workflows", "wxteams", "zulip",
    }
)  # fmt: skip
OPTIONS: Final = frozenset(
    {
        "avatar", "category", "channel", "details", "fields", "footer", "footer_logo", "format", "from", "image", "link",
        "mode", "overflow", "preview", "priority", "region", "silent", "sound", "tags", "thread", "to", "topic", "tts",
    }
)  # fmt: skip
THREADS_MAX: Final = 16
ANSWER_BYTES_MAX: Final = 64 * 1024
DIAL_SECONDS_MAX: Final = 10.0
_threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="apprise")


class _Going:
    """One notification on its way."""

    def __init__(self, addresses: Callable[[str, int], list[tuple[int, tuple[Any, ...]]]]) -> None:
        self.addresses = addresses
        self.sockets: list[socket.socket] = []
        self.status: int | None = None
        self.refused: CallFailed | None = None

    def end(self) -> None:
        for each in self.sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


_going: ContextVar[_Going | None] = ContextVar("apprise_going", default=None)


async def send(config: AppriseConfig, attempt: Attempt, network: Network) -> Reply:
    """One notification."""
    check(config.url)
    _install()
    loop = asyncio.get_running_loop()

    def addresses(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
        checked = asyncio.run_coroutine_threadsafe(network.addresses(host, port), loop)
        return checked.result(DIAL_SECONDS_MAX)

    going = _Going(addresses)
    context = copy_context()
    context.run(_going.set, going)
    text, _ = text_of(attempt)
    title = config.title or attempt.event
    try:
        sent = await loop.run_in_executor(_threads, context.run, _notify, config.url, title, text or attempt.event)
    finally:
        going.end()
    if sent:
        return Reply(going.status)
    if going.refused is not None:
        raise going.refused
    if going.status is None:
        raise CallFailed("connect", "the service was not reached")
    final = 400 <= going.status < 500 and going.status not in (408, 425, 429)
    raise CallFailed("status", f"the service answered {going.status}", retryable=not final, reply=Reply(going.status))


def check(url: str) -> None:
    """Raises CallFailed for a service or an option that is not taken; the text holds nothing of the address."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.lower() not in SERVICES:
        raise CallFailed(
            "bad_target",
            f"url is of no service that is taken; known are {', '.join(sorted(SERVICES))}",
            retryable=False,
        )
    try:
        named = {name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    except ValueError:
        raise CallFailed("bad_target", "url cannot be read", retryable=False) from None
    if not named <= OPTIONS:
        raise CallFailed(
            "bad_target", f"url has options that are not taken; known are {', '.join(sorted(OPTIONS))}", retryable=False
        )


def _notify(url: str, title: str, text: str) -> bool:
    import apprise

    asset = apprise.AppriseAsset(async_mode=False, plugin_paths=[], secure_logging=True)
    sender = apprise.Apprise(asset=asset)
    if not sender.add(url):
        raise CallFailed("bad_target", "url is no address that Apprise reads", retryable=False)
    return bool(sender.notify(body=text, title=title))


@lru_cache(maxsize=1)
def _install() -> None:
    """Requests of this process ask here first; without a notification on its way in their context they go on as ever."""
    sessions: Any = import_module("requests.sessions")
    connection: Any = import_module("urllib3.util.connection")
    dial, request = connection.create_connection, sessions.Session.request
    proxies, netrc = sessions.get_environ_proxies, sessions.get_netrc_auth

    def guarded_dial(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        going = _going.get()
        if going is not None:
            return _dial(going, address)
        found: socket.socket = dial(address, *args, **kwargs)
        return found

    def guarded_request(self: Any, method: str, url: str, **kwargs: Any) -> Any:
        going = _going.get()
        if going is None:
            return request(self, method, url, **kwargs)
        headers = dict(kwargs.pop("headers", None) or {}) | {"Accept-Encoding": "identity"}
        kwargs |= {"headers": headers, "allow_redirects": False, "stream": True, "verify": True}
        response = request(self, method, url, **kwargs)
        going.status = response.status_code
        response._content = _bounded(response)  # noqa: SLF001 - what .content would read without a bound
        response._content_consumed = True  # noqa: SLF001
        response.close()
        return response

    connection.create_connection = guarded_dial
    sessions.Session.request = guarded_request
    sessions.get_environ_proxies = lambda *a, **k: proxies(*a, **k) if _going.get() is None else {}
    sessions.get_netrc_auth = lambda *a, **k: netrc(*a, **k) if _going.get() is None else None


def _dial(going: _Going, address: tuple[str, int]) -> socket.socket:
    try:
        found = going.addresses(*address)
    except CallFailed as failed:
        going.refused = failed
        raise OSError("refused") from None
    error: OSError = OSError("no address")
    for family, place in found[:3]:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(DIAL_SECONDS_MAX)
            sock.connect(place)
        except OSError as failed_here:
            sock.close()
            error = failed_here
            continue
        going.sockets.append(sock)
        return sock
    raise error


def _bounded(response: Any) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < ANSWER_BYTES_MAX:
        part = response.raw.read1(4096, decode_content=False)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)[:ANSWER_BYTES_MAX]

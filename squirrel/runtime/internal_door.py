"""The internal HTTP door that every service has: /healthz, /readyz, /metrics, and for the engine the owner's asks.

Health and metrics are open, as probes need them; asks need the internal token when one is set.
"""

from __future__ import annotations

import hmac
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from squirrel.model.limits import BODY_BYTES_MAX
from squirrel.wire.owner_link import PATH

Ready = Callable[[], str | None]
Answer = Callable[[bytes], Awaitable[bytes]]


class InternalDoor:
    """Started before the service joins its group, so that a probe always gets an answer.

    `ready()` is None or the reason why not.
    """

    def __init__(self, host: str, port: int, *, ready: Ready, metrics: Callable[[], bytes], token: str = "") -> None:
        self._host = host
        self._port = port
        self._ready = ready
        self._metrics = metrics
        self._token = token
        self._runner: web.AppRunner | None = None
        self._answer: Answer | None = None
        self.url = ""

    def answer_asks(self, answer: Answer) -> None:
        """Serve a gateway's asks with this function; before `start`."""
        self._answer = answer

    async def start(self) -> None:
        """Listen; `url` is known afterwards."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics_text)
        app.router.add_post(PATH, self._asks)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://{_reachable(self._host)}:{port}"

    async def stop(self) -> None:
        """Close; safe twice or unstarted."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, request: web.Request) -> web.Response:
        reason = self._ready()
        return web.json_response(
            {"status": "ready" if reason is None else reason}, status=200 if reason is None else 503
        )

    async def _metrics_text(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _asks(self, request: web.Request) -> web.Response:
        if self._answer is None:
            return web.json_response({"status": "no partition is owned here"}, status=404)
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._token and not hmac.compare_digest(given.encode(), self._token.encode()):
            return web.json_response({"status": "the internal token is missing or wrong"}, status=401)
        try:
            body = await self._answer(await request.read())
        except ValueError as error:
            return web.json_response({"status": f"not a list of asks: {error}"}, status=400)
        return web.Response(body=body, content_type="application/msgpack")


def _reachable(host: str) -> str:
    """What others call us: an address that means "every interface" is nobody's, so this machine's name stands for it."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host

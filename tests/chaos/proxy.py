"""A TCP proxy before one listener of the broker: passes on, cuts in one or both directions, delays, resets."""

from __future__ import annotations

import asyncio
from typing import Any, Final

PAUSE_AT_BYTES: Final = 4 * 1024 * 1024  # waiting for one side before the other is no longer read


class Proxy:
    """`await proxy.start()` listens on `port` and passes on to `target_port`. What is cut stays connected and hears nothing."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.target_port = target_port
        self.delay_seconds = 0.0
        self.cut_up = False  # from the client to the broker
        self.cut_down = False
        self._server: asyncio.Server | None = None
        self.pairs: set[_Side] = set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Side(self, upward=True), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.reset()

    def cut(self, *, up: bool = True, down: bool = True) -> None:
        """Nothing is passed on in these directions; what is sent waits in the sender, as with a cable that was pulled."""
        self.cut_up, self.cut_down = up, down
        self._apply()

    def heal(self) -> None:
        self.cut_up = self.cut_down = False
        self.delay_seconds = 0.0
        self._apply()

    def reset(self) -> None:
        """Ends all connections at once."""
        for side in list(self.pairs):
            side.end()

    def _apply(self) -> None:
        for side in list(self.pairs):
            side.apply()


class _Side(asyncio.Protocol):
    """One of the two connections of a pair: `upward` is the client's."""

    def __init__(self, proxy: Proxy, *, upward: bool, other: _Side | None = None) -> None:
        self._proxy = proxy
        self._upward = upward
        self._other = other
        self._transport: Any = None
        self._early: list[bytes] = []
        self._paused = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=PAUSE_AT_BYTES)
        self._proxy.pairs.add(self)
        self.apply()
        if self._other is None:
            asyncio.get_running_loop().create_task(self._dial())
        else:
            self._other.joined(self)

    async def _dial(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: _Side(self._proxy, upward=False, other=self), "127.0.0.1", self._proxy.target_port
            )
        except OSError:
            self.end()

    def joined(self, other: _Side) -> None:
        self._other = other
        early, self._early = self._early, []
        for data in early:
            other.send(data)

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._early.append(data)
        elif self._proxy.delay_seconds:
            asyncio.get_running_loop().call_later(self._proxy.delay_seconds, self._other.send, data)
        else:
            self._other.send(data)

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pause_writing(self) -> None:
        if self._other is not None:
            self._other.hold(True)

    def resume_writing(self) -> None:
        if self._other is not None:
            self._other.hold(False)

    def hold(self, full: bool) -> None:
        self._paused = full
        self.apply()

    def apply(self) -> None:
        """Reads or does not read, as the proxy's cuts and the other side's buffer say."""
        if self._transport is None or self._transport.is_closing():
            return
        cut = self._proxy.cut_up if self._upward else self._proxy.cut_down
        if cut or self._paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        self._proxy.pairs.discard(self)
        if self._other is not None:
            self._other.end()

    def end(self) -> None:
        if self._transport is not None:
            self._transport.abort()

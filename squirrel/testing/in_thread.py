"""The target for tests without an event loop: it runs in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Final

from squirrel.testing.commands import by_path
from squirrel.testing.target import Behaviour, Received, Target

START_SECONDS_MAX: Final = 10.0


class ThreadTarget:
    """A target as a test without asyncio sees it."""

    def __init__(self, target: Target, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop

    @property
    def url(self) -> str:
        """Its address, with the path `/hook`."""
        return self._target.url

    @property
    def base_url(self) -> str:
        """Its address without a path: `f"{base_url}/status/503"`."""
        return self._target.url.removesuffix("/hook")

    @property
    def requests(self) -> list[Received]:
        """What has arrived so far, oldest first."""
        return list(self._target.requests)

    def behave(self, behaviour: Behaviour) -> None:
        """From the next request on."""
        self._loop.call_soon_threadsafe(setattr, self._target, "behaviour", behaviour)

    def wait_for(self, count: int, seconds: float = 10.0) -> list[Received]:
        """The requests, once so many have arrived. Raises TimeoutError."""
        return asyncio.run_coroutine_threadsafe(self._wait_for(count, seconds), self._loop).result()

    async def _wait_for(self, count: int, seconds: float) -> list[Received]:
        async with asyncio.timeout(seconds):
            while len(self._target.requests) < count:
                self._target.arrived.clear()
                await self._target.arrived.wait()
        return list(self._target.requests)


@contextmanager
def target(behaviour: Behaviour | None = None, *, port: int = 0) -> Iterator[ThreadTarget]:
    """A target while entered; without a behaviour it does what each request's path says (`squirrel.testing.commands`)."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="squirrel-target", daemon=True)
    thread.start()

    def done(making: Callable[[], object]) -> object:
        return asyncio.run_coroutine_threadsafe(making(), loop).result(START_SECONDS_MAX)  # type: ignore[arg-type]

    made = Target(behaviour or by_path(), port=port)
    try:
        done(made.__aenter__)
        try:
            yield ThreadTarget(made, loop)
        finally:
            done(made.__aexit__)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_SECONDS_MAX)
        loop.close()

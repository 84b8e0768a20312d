"""When a run ends: whoever waits for time waits for the end as well."""

from __future__ import annotations

import asyncio
import contextlib


class Ending:
    """`await ending.pause(2.0)` is over after two seconds, or at once when the run ends."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def end(self) -> None:
        self._over.set()

    async def pause(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._over.wait()

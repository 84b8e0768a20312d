"""Access tokens, kept until shortly before they expire: one fetch for all calls that need one at the same time. Bounded."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Final

from squirrel.model.clock import Clock

TOKENS_KEPT_MAX: Final = 1024
EARLY_SECONDS: Final = 30.0  # before its end a token is fetched anew: a call takes time, and clocks differ
GOOD_SECONDS_MAX: Final = 86_400.0

Fetch = Callable[[], Awaitable[tuple[str, float]]]


class Tokens:
    """`of(key, fetch)`; keys are kept as hashes, because they hold secrets."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._fetching: dict[bytes, asyncio.Task[str]] = {}

    async def of(self, key: str, fetch: Fetch) -> str:
        """The token; what `fetch` raises is raised to all who waited for it, and nothing is kept."""
        hashed = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).digest()
        kept = self._kept.get(hashed)
        if kept is not None and self._clock.monotonic() < kept[1]:
            return kept[0]
        task = self._fetching.get(hashed)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._fetch(hashed, fetch))
            self._fetching[hashed] = task
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to ask
        return await asyncio.shield(task)

    def forget(self, key: str) -> None:
        """A target refused it: the next call fetches anew."""
        self._kept.pop(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).digest(), None)

    async def _fetch(self, hashed: bytes, fetch: Fetch) -> str:
        try:
            token, seconds = await fetch()
        finally:
            self._fetching.pop(hashed, None)
        good = min(seconds, GOOD_SECONDS_MAX) - EARLY_SECONDS
        if good > 0:
            self._kept.pop(hashed, None)
            self._kept[hashed] = (token, self._clock.monotonic() + good)
            while len(self._kept) > TOKENS_KEPT_MAX:
                self._kept.popitem(last=False)
        return token

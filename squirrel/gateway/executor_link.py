"""Asking every executor: what only they know is in their memory. One POST each, bounded; one that is away is said to be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import aiohttp

from squirrel.gateway.owner_link import Directory
from squirrel.model.errors import Unavailable
from squirrel.wire.breaker_link import BreakerStates, CloseBreaker, Closed, GetBreakers, decode_answers, encode_asks
from squirrel.wire.owner_link import PATH

ANSWER_SECONDS_MAX: Final = 3.0
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
Asked = GetBreakers | CloseBreaker


class Heard(NamedTuple):
    """The answers of those that answered, and how many did not."""

    answers: list[BreakerStates | Closed]
    silent: int


class ExecutorLink:
    """`directory` None: this gateway knows no executors."""

    def __init__(self, directory: Directory | None, token: str) -> None:
        self._directory = directory
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/msgpack"}

    async def ask(self, ask: Asked) -> Heard:
        """Raises Unavailable when Kafka cannot say who the executors are."""
        urls: Sequence[str] = ()
        if self._directory is not None:
            urls = sorted(set((await self._directory.owners()).values()))
        if not urls:
            return Heard([], 0)
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False, auto_decompress=False) as session:
            found = await asyncio.gather(*(self._put(session, url, ask) for url in urls), return_exceptions=True)
        heard = [answer for each in found if not isinstance(each, BaseException) for answer in each]
        for each in found:
            if isinstance(each, BaseException) and not isinstance(
                each, (aiohttp.ClientError, OSError, ValueError, Unavailable)
            ):
                raise each
        return Heard(heard, sum(isinstance(each, BaseException) for each in found))

    async def _put(self, session: Any, url: str, ask: Asked) -> list[BreakerStates | Closed]:
        async with session.post(url.rstrip("/") + PATH, data=encode_asks([ask]), headers=self._headers) as response:
            if response.status != 200 or (response.content_length or 0) > ANSWER_BYTES_MAX:
                raise Unavailable(f"an executor answered {response.status}")
            return decode_answers(await response.read())

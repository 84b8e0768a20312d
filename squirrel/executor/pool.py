"""Kept-alive connections, each lent only to calls for the very address that it was checked and dialled for."""

from __future__ import annotations

import asyncio
from typing import Final

from squirrel.executor.connection import Connection, Key
from squirrel.model.limits import WINDOW_HOST_MAX, WINDOW_PROCESS_MAX

# Shorter than the keep-alive of common servers (gunicorn 2 s, Node, uvicorn and Apache 5 s): a request that meets a closing
# connection is a failed attempt, because it is never sent twice.
IDLE_S_MAX: Final = 1.5
SWEEP_S: Final = 0.5


class Pool:
    """Newest first, so that what is not needed grows old and is closed."""

    def __init__(self) -> None:
        self._idle: dict[Key, list[Connection]] = {}
        self._count = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    def __len__(self) -> int:
        """Connections that are idle now."""
        return self._count

    def take(self, key: Key, now: float) -> Connection | None:
        """A connection that can carry a request at once, or None. `now` is loop time."""
        stack = self._idle.get(key)
        while stack:
            connection = stack.pop()
            self._count -= 1
            if self._is_young(connection, now) and connection.is_reusable() and connection.is_quiet():
                return connection
            connection.abort()
        return None

    def give(self, connection: Connection, now: float) -> None:
        """Takes it back after a whole answer; closes it when it cannot be used again or there are enough."""
        key = connection.key
        stack = self._idle.setdefault(key, [])
        if (
            self._closed
            or self._count >= WINDOW_PROCESS_MAX
            or len(stack) >= WINDOW_HOST_MAX
            or not connection.is_reusable()
        ):
            connection.abort()
            if not stack:
                del self._idle[key]
            return
        connection.idle_since = now
        stack.append(connection)
        self._count += 1
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def close(self) -> None:
        """Drops every idle connection; lent ones are dropped when they are given back. Safe twice."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for stack in self._idle.values():
            for connection in stack:
                connection.abort()
        self._idle.clear()
        self._count = 0

    @staticmethod
    def _is_young(connection: Connection, now: float) -> bool:
        return now - connection.idle_since < IDLE_S_MAX

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for key, stack in list(self._idle.items()):
            young = [each for each in stack if each.open and self._is_young(each, now)]
            if len(young) < len(stack):
                for each in stack:
                    if each not in young:
                        each.abort()
                self._count -= len(stack) - len(young)
            if young:
                self._idle[key] = young
            else:
                del self._idle[key]
        self._sweeper = loop.call_later(SWEEP_S, self._sweep) if self._idle else None

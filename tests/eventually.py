"""Waits for something that has no signal to wait for: the only place under tests/ that sleeps."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.02


async def eventually(
    predicate: Callable[[], T | Awaitable[T]], timeout_seconds: float = 10.0, what: str | None = None
) -> T:
    """Asks until the answer is truthy, then gives it back. Fails with `what`, or the predicate's name, and the last answer.

    An AssertionError of the predicate is a "not yet"; any other error ends the wait.
    """
    deadline = time.monotonic() + timeout_seconds
    last: object = None
    while True:
        try:
            answer = predicate()
            found = await answer if inspect.isawaitable(answer) else answer
            if found:
                return found
            last = found
        except AssertionError as error:
            last = error
        if time.monotonic() >= deadline:
            name = what or getattr(predicate, "__qualname__", "the predicate")
            raise AssertionError(f"not within {timeout_seconds:g} s: {name}; last answer: {last!r}")
        await asyncio.sleep(POLL_SECONDS)

"""Who waits for the same host, in turns: tenants first, and the events of a tenant among themselves. Pure.

A tenant with a hundred thousand calls to make, or an event with as many, costs whoever waits beside it one call each, not all.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """First come, first served within one (tenant, event); `pop` goes round the tenants and round the events of each."""

    __slots__ = ("_queues", "_tenants")

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str], deque[T]] = {}
        self._tenants: dict[str, deque[str]] = {}  # tenant -> its events that have somebody waiting; next turn first

    def __bool__(self) -> bool:
        return bool(self._tenants)

    def put(self, tenant: str, event: str, item: T) -> None:
        """`item` waits."""
        queue = self._queues.get((tenant, event))
        if queue is None:
            queue = self._queues[tenant, event] = deque()
            self._tenants.setdefault(tenant, deque()).append(event)
        queue.append(item)

    def pop(self) -> T:
        """Whose turn it is; there must be one."""
        tenant, events = next(iter(self._tenants.items()))
        event = events.popleft()
        queue = self._queues[tenant, event]
        item = queue.popleft()
        if queue:
            events.append(event)
        else:
            del self._queues[tenant, event]
        del self._tenants[tenant]
        if events:
            self._tenants[tenant] = events  # behind the others: a dict keeps the order of insertion
        return item

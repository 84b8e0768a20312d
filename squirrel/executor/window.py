"""How many calls are in flight, per process and per host, and whose turn is next. Pure.

A host may have as many as twice what is free: one host alone gets two thirds of the window (and never more than its own
limit), the next ones share what is left, and the last eighth is for hosts that have nothing in flight. So a slow host cannot
take the window from a fast one, and nobody has to say in advance which hosts are slow. The rule is the dynamic threshold of
shared-memory switches (Choudhury and Hahne, 1998), with alpha 2 and a reserve.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

from squirrel.executor.turns import Turns

T = TypeVar("T")
TURNS_TRIED_MAX: Final = (
    64  # hosts looked at for one free place; those at their limit have calls in flight that will end
)


class Window(Generic[T]):
    """`enter` or wait; `leave` and ask `next` until it gives None. `process_max` and `host_max` are at least 1."""

    def __init__(self, process_max: int, host_max: int) -> None:
        self._process_max = process_max
        self._host_max = host_max
        self._reserve = process_max // 8
        self._in_flight: dict[str, int] = {}
        self._queues: dict[str, Turns[T]] = {}
        self._turns: deque[str] = deque()  # hosts that have somebody waiting
        self.in_flight = 0
        self.waiting = 0

    def enter(self, host: str, call: T, tenant: str = "", event: str = "") -> bool:
        """True: it may start now, and must `leave`. False: it waits, and `next` will give it: tenants and events in turn."""
        if host not in self._queues and self._has_room(host):
            self._start(host)
            return True
        queue = self._queues.get(host)
        if queue is None:
            queue = self._queues[host] = Turns()
            self._turns.append(host)
        queue.put(tenant, event, call)
        self.waiting += 1
        return False

    def leave(self, host: str) -> None:
        """A call that was in flight has ended."""
        self.in_flight -= 1
        left = self._in_flight[host] - 1
        if left:
            self._in_flight[host] = left
        else:
            del self._in_flight[host]

    def next(self) -> T | None:
        """The call that may start now, hosts in turn; it counts as in flight from here. None: nobody can."""
        if not self.waiting or self.in_flight >= self._process_max:
            return None
        turns = self._turns
        for _ in range(min(len(turns), TURNS_TRIED_MAX)):
            host = turns[0]
            if not self._has_room(host):
                turns.rotate(-1)
                continue
            queue = self._queues[host]
            call = queue.pop()
            turns.popleft()
            if queue:
                turns.append(host)
            else:
                del self._queues[host]
            self.waiting -= 1
            self._start(host)
            return call
        return None

    def _has_room(self, host: str) -> bool:
        free = self._process_max - self.in_flight
        if free <= self._reserve:
            return free > 0 and host not in self._in_flight
        return self._in_flight.get(host, 0) < min(self._host_max, 2 * free)

    def _start(self, host: str) -> None:
        self.in_flight += 1
        self._in_flight[host] = self._in_flight.get(host, 0) + 1

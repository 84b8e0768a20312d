"""What of one partition must not be called: attempts that were seen before, and orders of an owner that was replaced. Pure."""

from __future__ import annotations

from typing import Final, Literal

from squirrel.model.limits import REPEATS_REMEMBERED_MAX

# A fenced owner ends within seconds. A lower epoch that speaks this long after the newest one is a group that began anew (its
# generations count from 1 again when Kafka forgot it); to drop its orders would lose them.
ERA_MS: Final = 600_000

Verdict = Literal["new", "repeat", "stale"]


class Repeats:
    """Attempts remembered in two halves: when the younger is full the older is forgotten, so at least half the bound is known."""

    __slots__ = ("_emitted_ms", "_epoch", "_older", "_younger")

    def __init__(self) -> None:
        self._younger: set[str] = set()
        self._older: set[str] = set()
        self._epoch = 0
        self._emitted_ms = 0  # newest order of the newest epoch

    def judge(self, attempt: str, epoch: int, emitted_ms: int) -> Verdict:
        """`attempt` is `run/number`. Records are judged in the order of the log."""
        if epoch < self._epoch and emitted_ms - self._emitted_ms < ERA_MS:
            return "stale"
        if epoch != self._epoch:
            self._epoch = epoch
            self._emitted_ms = emitted_ms
        elif emitted_ms > self._emitted_ms:
            self._emitted_ms = emitted_ms
        if attempt in self._younger or attempt in self._older:
            return "repeat"
        self.remember(attempt)
        return "new"

    @property
    def newest(self) -> tuple[int, int]:
        """The newest epoch that was heard (0: none) and the instant of its newest order, epoch ms."""
        return self._epoch, self._emitted_ms

    def go_on_from(self, epoch: int, emitted_ms: int) -> None:
        """What the executor before had heard: an owner that was replaced then is not heard now either."""
        self._epoch, self._emitted_ms = epoch, emitted_ms

    def remember(self, attempt: str) -> None:
        """It was called, or is about to be."""
        if len(self._younger) >= REPEATS_REMEMBERED_MAX // 2:
            self._older, self._younger = self._younger, set()
        self._younger.add(attempt)

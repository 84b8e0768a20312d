"""What of one partition must not be called: attempts that were seen before, and orders of an owner that was replaced. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, NamedTuple

from squirrel.model.limits import REIGNS_REMEMBERED_MAX, REPEATS_REMEMBERED_MAX

# A fenced owner ends within seconds. A lower epoch that speaks this long after the newest one is a group that began anew (its
# generations count from 1 again when Kafka forgot it); to drop its orders would lose them.
ERA_MS: Final = 600_000

Verdict = Literal["new", "repeat", "stale"]


class Reign(NamedTuple):
    """An owner's epoch, from the offset of the first of its records on that was heard."""

    offset: int
    epoch: int


class Repeats:
    """Attempts remembered in two halves: when the younger is full the older is forgotten, so at least half the bound is known."""

    __slots__ = ("_emitted_ms", "_epoch", "_older", "_reigns", "_younger")

    def __init__(self) -> None:
        self._younger: set[str] = set()
        self._older: set[str] = set()
        self._epoch = 0
        self._emitted_ms = 0  # newest order of the newest epoch
        self._reigns: deque[Reign] = deque(maxlen=REIGNS_REMEMBERED_MAX)

    def heard(self, epoch: int, emitted_ms: int, offset: int) -> bool:
        """An owner's mark or order, in the order of the log; False: the owner was replaced by one that was heard before."""
        if epoch < self._epoch and emitted_ms - self._emitted_ms < ERA_MS:
            return False
        if epoch != self._epoch:
            self._epoch = epoch
            self._emitted_ms = emitted_ms
            self._reigns.append(Reign(offset, epoch))
        elif emitted_ms > self._emitted_ms:
            self._emitted_ms = emitted_ms
        return True

    def judge(self, attempt: str, epoch: int, emitted_ms: int, offset: int, *, logged: bool = False) -> Verdict:
        """`attempt` is `run/number`. Records are judged in the order of the log.

        `logged`: its owner had logged it before it ordered it, as it does with what is called at most once. So its successor
        knows it as under way, whatever stands between them here, and waits for its result: nobody else orders it.
        """
        if not self.heard(epoch, emitted_ms, offset) and not logged:
            return "stale"
        if attempt in self._younger or attempt in self._older:
            return "repeat"
        self.remember(attempt)
        return "new"

    def in_force(self, base: int) -> tuple[int, int]:
        """The epoch that was heard last below the offset `base` (0: none), and the instant of the newest order heard, epoch ms.

        Whoever goes on from `base` hears everything from there on again. A newer epoch that was heard beyond it must not be known
        then: what its predecessor had ordered in between is still owed (found by chaos: a broker that stood still made a new
        owner and the executor died with the predecessor's last orders). `base` never goes back.
        """
        reigns = self._reigns
        while len(reigns) > 1 and reigns[1].offset < base:
            reigns.popleft()
        if not reigns or reigns[0].offset >= base:
            return 0, 0
        return reigns[0].epoch, self._emitted_ms

    def go_on_from(self, epoch: int, emitted_ms: int) -> None:
        """What the executor before had heard: an owner that was replaced then is not heard now either."""
        self._epoch, self._emitted_ms = epoch, emitted_ms
        self._reigns.clear()
        if epoch:
            self._reigns.append(Reign(-1, epoch))

    def remember(self, attempt: str) -> None:
        """It was called, or is about to be."""
        if len(self._younger) >= REPEATS_REMEMBERED_MAX // 2:
            self._older, self._younger = self._younger, set()
        self._younger.add(attempt)

"""Who may be emitted now: a bounded window for each namespace, and turns among the namespaces that have something due. Pure.

A run that is emitted stands in a topic behind all that was emitted before it, so what is due waits on the timeline instead, and
a namespace has at most `window` attempts of a partition under way. Steps share their room by deficit round robin (Shreedhar and
Varghese, 1995): equal shares, in turns that rotate; whoever got more than its share, because one row owed many runs, has less
the next time. So a namespace with a million runs due at 09:00 costs another's single run a step, not the million.
What is under way is known from results. A run that nobody reports, or whose report takes longer than a call should, gives its
place back after a time: the window paces, the executors hold the rest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from squirrel.model.limits import ADMISSION_DEBT_MAX, ADMITTED_MS_MAX, UNTRACKED_MS
from squirrel.wire.records import Execution

UNLIMITED: Final = 0  # as a window: everything that is due is emitted at once
REPLAYED_PART: Final = 2  # of a window: replays beyond it wait on the timeline like everything else
KEPT_PART: Final = 3  # of a window no crowd may fill: what comes due after it has room at once
HELD_LOOK_MS: Final = 50  # between looks for what came due after a crowd that is held back, where no result wakes first


class Admission:
    """The window of one partition's owner; in memory, so a new owner begins with an empty one."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.full: set[str] = set()  # namespaces that had something due and no room, at the last look
        self.more = False  # the last shares were too small for somebody: there may be more, and there is room
        self._counts: dict[str, int] = {}
        # (run, attempt) -> namespace, forgotten at; oldest first
        self._runs: dict[tuple[str, int], tuple[str, int]] = {}
        self._untracked: deque[tuple[int, str]] = deque()  # forgotten at, namespace
        self._debts: dict[str, int] = {}
        self._served = ""  # the turns go on behind this namespace
        self._left_out = False  # somebody had room and no share
        self._held_back = False  # a crowd has filled its part of a window, at the last look

    def shares(self, ready: Sequence[str], limit: int, now_ms: int) -> list[tuple[str, int]]:
        """(namespace, how many rows it may take off the timeline) for those with something due; `limit` for all together."""
        self._forget(now_ms)
        self.full.clear()
        self._left_out = self._held_back = False
        if self.window == UNLIMITED and len(ready) == 1:
            return [(ready[0], limit)]
        order = sorted(ready)
        first = bisect_right(order, self._served)
        share = max(1, limit // max(1, len(order)))
        out: list[tuple[str, int]] = []
        for namespace in order[first:] + order[:first]:
            debt = self._debts.get(namespace, 0)
            self._debts[namespace] = max(0, debt - share)
            room = self._room(namespace, limit)
            if not room:
                self.full.add(namespace)
            elif share > debt and limit > 0:
                given = min(share - debt, room, limit)
                limit -= given
                out.append((namespace, given))
            else:
                self._left_out = True
        self._debts = {namespace: debt for namespace, debt in self._debts.items() if debt}
        if out:
            self._served = out[-1][0] if self._left_out else out[0][0]
        return out

    def of_a_crowd(self, namespace: str, wanted: int) -> int:
        """How many rows of a crowd, `wanted` at most, may be taken off the timeline now."""
        if self.window == UNLIMITED:
            return wanted
        room = self.window - self.window // KEPT_PART - self._counts.get(namespace, 0)
        if room >= wanted:
            return wanted
        self.full.add(namespace)
        self._held_back = True
        return max(0, room)

    def took(
        self,
        shares: Sequence[tuple[str, int]],
        taken: Mapping[str, int],
        emitted: Sequence[Execution],
        *,
        cut_short: bool = False,
    ) -> None:
        """What came of the shares: rows taken off the timeline by namespace, and all attempts that were ordered.

        `cut_short`: the step was full before all shares were used.
        """
        self.more = cut_short or self._left_out or any(taken.get(each, share) >= share for each, share in shares)
        if len(emitted) <= sum(taken.values()):
            return
        for namespace, count in Counter(execution.namespace for execution in emitted).items():
            over = count - taken.get(namespace, count)
            if over > 0:
                self._debts[namespace] = min(self._debts.get(namespace, 0) + over, ADMISSION_DEBT_MAX)

    def emitted(self, executions: Iterable[Execution], now_ms: int) -> None:
        """These attempts were ordered, by whatever step."""
        if self.window == UNLIMITED:
            return
        counts = self._counts
        for execution in executions:
            namespace = execution.namespace
            if execution.track:
                self._runs[execution.run, execution.attempt] = namespace, now_ms + ADMITTED_MS_MAX
            else:
                self._untracked.append((now_ms + UNTRACKED_MS, namespace))
            counts[namespace] = counts.get(namespace, 0) + 1

    def answered(self, run: str, attempt: int) -> bool:
        """An attempt has ended. True: its namespace had no room until now."""
        known = self._runs.pop((run, attempt), None)
        return known is not None and self._leaves(known[0])

    def room_to_repeat(self, namespace: str, ordered: int) -> bool:
        """Whether a replay may be ordered beside the timeline, `ordered` attempts into a step. The rest is for what is due."""
        if self.window == UNLIMITED:
            return True
        return self._counts.get(namespace, 0) + ordered < self.window // REPLAYED_PART

    def look_again_ms(self, now_ms: int) -> int | None:
        """In how many milliseconds a full namespace may have room again without any result; None: nobody is full."""
        if not self.full:
            return None
        longest_ms = HELD_LOOK_MS if self._held_back else ADMITTED_MS_MAX
        if self._untracked:
            return min(longest_ms, max(1, self._untracked[0][0] - now_ms))
        return longest_ms

    def _room(self, namespace: str, limit: int) -> int:
        return limit if self.window == UNLIMITED else max(0, self.window - self._counts.get(namespace, 0))

    def _leaves(self, namespace: str) -> bool:
        left = self._counts[namespace] - 1
        if left:
            self._counts[namespace] = left
        else:
            del self._counts[namespace]
        return namespace in self.full

    def _forget(self, now_ms: int) -> None:
        while self._untracked and self._untracked[0][0] <= now_ms:
            self._leaves(self._untracked.popleft()[1])
        while self._runs:
            oldest = next(iter(self._runs))
            namespace, forgotten_ms = self._runs[oldest]
            if forgotten_ms > now_ms:
                break
            del self._runs[oldest]
            self._leaves(namespace)

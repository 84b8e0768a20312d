"""Percentiles of any number of durations in bounded memory, with a stated error.

Exact while few different values were seen. Beyond that values share buckets that grow by a constant factor, as in DDSketch
(Masson, Rim, Lee, VLDB 2019): what is answered is then off by at most `RELATIVE_ERROR` of itself, whatever the distribution.
"""

from __future__ import annotations

from collections import Counter
from math import ceil, log
from typing import Final

DIFFERENT_MAX: Final = (
    4_096  # values kept as they are; durations are whole milliseconds, so most schedules stay below it
)
RELATIVE_ERROR: Final = 0.01
_GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA: Final = log(_GAMMA)


class Sketch:
    """Whole numbers from 0. `error` is 0.0 while every answer is exact, then RELATIVE_ERROR."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.low: int | None = None
        self.high: int | None = None
        self._values: Counter[int] = Counter()  # value, or number of its bucket, to how often
        self._is_exact = True

    @property
    def error(self) -> float:
        return 0.0 if self._is_exact else RELATIVE_ERROR

    @property
    def mean(self) -> float | None:
        """Exact, as the lowest and the highest are."""
        return self.total / self.count if self.count else None

    def add(self, value: int) -> None:
        """Takes one value; a negative one counts as 0."""
        value = max(value, 0)
        self.count += 1
        self.total += value
        self.low = value if self.low is None else min(self.low, value)
        self.high = value if self.high is None else max(self.high, value)
        self._values[value if self._is_exact else _bucket(value)] += 1
        if self._is_exact and len(self._values) > DIFFERENT_MAX:
            self._is_exact = False
            folded: Counter[int] = Counter()
            for each, times in self._values.items():
                folded[_bucket(each)] += times
            self._values = folded

    def percentile(self, percent: int) -> int | None:
        """By nearest rank; None without values."""
        if not self.count:
            return None
        rank = max(1, -(-self.count * percent // 100))
        for each in sorted(self._values):
            rank -= self._values[each]
            if rank <= 0:
                return each if self._is_exact else min(_middle(each), self.high or 0)
        raise AssertionError("the ranks end with the count")


def _bucket(value: int) -> int:
    """0 for 0, else the n with gamma^(n-1) < value + tiny <= gamma^n, moved up so that 1 is in bucket 1."""
    return 0 if value == 0 else ceil(log(value) / _LOG_GAMMA) + 1


def _middle(bucket: int) -> int:
    """The value that is nearest, in relation, to all of its bucket."""
    return 0 if bucket == 0 else round(2 * _GAMMA ** (bucket - 1) / (_GAMMA + 1))

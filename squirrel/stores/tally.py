"""How the runs of one schedule went, taken in one after the other: what a summary is made of, in bounded memory."""

from __future__ import annotations

from squirrel.stores.history import Summary
from squirrel.stores.sketch import Sketch


class Tally:
    """Runs newest first. `summary(complete)` says what was seen; `complete` that there are no older ones."""

    def __init__(self) -> None:
        self._succeeded = 0
        self._failed = 0
        self._other = 0
        self._oldest_ms: int | None = None
        self._durations = Sketch()

    @property
    def runs(self) -> int:
        return self._succeeded + self._failed + self._other

    def add(self, state: str, slot_ms: int, duration_ms: int | None) -> None:
        """One run: its state, slot, and how long its last attempt took; None when it had none."""
        if state == "succeeded":
            self._succeeded += 1
        elif state == "failed":
            self._failed += 1
        else:
            self._other += 1
        self._oldest_ms = slot_ms if self._oldest_ms is None else min(self._oldest_ms, slot_ms)
        if duration_ms is not None:
            self._durations.add(duration_ms)

    def summary(self, *, complete: bool) -> Summary:
        durations = self._durations
        return Summary(
            self._succeeded,
            self._failed,
            self._other,
            duration_ms_min=durations.low,
            duration_ms_avg=durations.mean,
            duration_ms_max=durations.high,
            duration_ms_p95=durations.percentile(95),
            duration_ms_p99=durations.percentile(99),
            percentile_error=durations.error,
            oldest_slot_ms=self._oldest_ms,
            complete=complete,
        )

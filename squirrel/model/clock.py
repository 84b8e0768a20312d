"""The one door to time: everything outside `runtime/clock.py` is handed a `Clock` or the instant itself."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Wall time for due instants, monotonic time for everything that measures a duration."""

    def now_ms(self) -> int:
        """Wall time in epoch milliseconds; never goes back within a process."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that no one can set; for timeouts and heartbeats."""
        ...

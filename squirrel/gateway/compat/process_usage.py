"""What this process uses of the machine, for the Redis seed's `/stats`."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_STATM: Final = Path("/proc/self/statm")
_UNITS: Final = ("KB", "MB", "GB", "TB")


class Usage(NamedTuple):
    """Percent of one core since the start, resident memory, tasks of the event loop, time since the start."""

    cpu_percent: float
    memory_bytes: int
    memory_text: str
    tasks: int
    uptime_text: str


class ProcessUsage:
    """`monotonic` counts seconds; the time between construction and `now` is the uptime."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._began = monotonic()

    def now(self) -> Usage:
        """Usage at this moment; call it on the event loop."""
        uptime_seconds = self._monotonic() - self._began
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu_percent = (used.ru_utime + used.ru_stime) * 100 / max(uptime_seconds, 0.001)
        memory_bytes = _resident_bytes(used.ru_maxrss)
        return Usage(
            round(cpu_percent, 2),
            memory_bytes,
            memory_text(memory_bytes),
            len(asyncio.all_tasks()),
            go_duration(uptime_seconds),
        )


def _resident_bytes(peak_kib: int) -> int:
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return peak_kib * 1024  # no /proc here: the peak stands in


def memory_text(size: int) -> str:
    """`4.10MB`: two decimals, bytes without."""
    if size < 1024:
        return f"{size}B"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    return f"{size / 1024**power:.2f}{_UNITS[power - 1]}"


def go_duration(seconds: float) -> str:
    """`1h2m3.5s`, as Go prints a time.Duration."""
    whole_minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(whole_minutes), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text

"""The one reader of clocks: wall time that never goes back and is not believed blindly when it jumps ahead.

Two clocks are compared: REALTIME (what the machine says; anyone may set it) and BOOTTIME (elapsed time, suspend included; no one
can set it). The anchor is the last time believed, so:
- a step back is never shown: time stands still until REALTIME has caught up, and nothing fires twice;
- a resume from suspend moves REALTIME and BOOTTIME alike and is believed at once;
- a forward step above 1 s that BOOTTIME did not see is distrusted: tomorrow's schedules must not fire because somebody set the
  clock wrong. Time goes on at BOOTTIME's pace until `confirm` (broker time) says yes, for 5 s at most: then it is the time.
Small steps forward (NTP) are followed at once, so in steady state the answer is REALTIME itself, never ahead of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

STEP_NS_TRUSTED_MAX: Final = 1_000_000_000
DISTRUST_NS_MAX: Final = 5_000_000_000
CONFIRM_INTERVAL_NS: Final = 100_000_000
NS_PER_MS: Final = 1_000_000

READ_TRIES_MAX: Final = 5

Confirm = Callable[[int], bool]


def _boot_ns() -> int:
    return time.clock_gettime_ns(_BOOTTIME)


# Where there is no BOOTTIME (macOS), MONOTONIC counts suspend already.
_BOOTTIME: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class Anchor:
    """What is believed: at `boot_ns` of BOOTTIME it was `wall_ns`.

    `suspect_since_ns`, of BOOTTIME: since when a forward step is being doubted.
    """

    wall_ns: int
    boot_ns: int
    suspect_since_ns: int | None = None


def advance(anchor: Anchor, wall_ns: int, boot_ns: int, *, confirmed: bool = False) -> Anchor:
    """The anchor at `boot_ns`, when REALTIME says `wall_ns`; its `wall_ns` is the time to tell and never decreases.

    `confirmed`: somebody trustworthy has just said that `wall_ns` is right.
    """
    expected_ns = anchor.wall_ns + max(0, boot_ns - anchor.boot_ns)
    step_ns = wall_ns - expected_ns
    if step_ns <= STEP_NS_TRUSTED_MAX or confirmed:
        return Anchor(max(anchor.wall_ns, wall_ns), boot_ns)
    since_ns = boot_ns if anchor.suspect_since_ns is None else anchor.suspect_since_ns
    if boot_ns - since_ns >= DISTRUST_NS_MAX:
        return Anchor(wall_ns, boot_ns)
    return Anchor(expected_ns, boot_ns, since_ns)


class SystemClock:
    """`squirrel.model.clock.Clock` on the machine's clocks; one per process, for any thread (each call stands for itself).

    `confirm(now_ms)` is asked, at most ten times a second and only while a forward step is doubted, whether that time is right;
    it must answer at once. `now_ms` takes 0.4 us in steady state.
    """

    def __init__(
        self,
        confirm: Confirm | None = None,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        boot_ns: Callable[[], int] = _boot_ns,
    ) -> None:
        self._confirm = confirm
        self._wall_ns = wall_ns
        self._boot_ns = boot_ns
        self._asked_ns = -CONFIRM_INTERVAL_NS
        self._told_ns, self._told_boot_ns = wall_ns(), boot_ns()
        self._suspect_since_ns: int | None = None

    def now_ms(self) -> int:
        """Wall time in epoch milliseconds, rounded down; never less than before."""
        boot_ns, wall_ns = self._boot_ns(), self._wall_ns()
        told_ns = self._told_ns
        step_ns = wall_ns - told_ns - boot_ns + self._told_boot_ns
        if wall_ns >= told_ns and step_ns <= STEP_NS_TRUSTED_MAX and self._suspect_since_ns is None:
            self._told_ns, self._told_boot_ns = wall_ns, boot_ns
            return wall_ns // NS_PER_MS
        return self._doubtful_now_ms()

    def monotonic(self) -> float:
        """Seconds on a clock that no one can set."""
        return time.monotonic()

    @property
    def ahead_ms(self) -> int:
        """How far the time told is ahead of REALTIME: above 0 only while a step back is being waited out."""
        return max(0, self.now_ms() - self._wall_ns() // NS_PER_MS)

    @property
    def suspect(self) -> bool:
        """Whether a forward step is being doubted now."""
        self.now_ms()
        return self._suspect_since_ns is not None

    def _doubtful_now_ms(self) -> int:
        wall_ns, boot_ns = self._read_together()
        before = Anchor(self._told_ns, self._told_boot_ns, self._suspect_since_ns)
        after = advance(before, wall_ns, boot_ns)
        if after.suspect_since_ns is not None and self._confirmed(wall_ns, boot_ns):
            after = advance(before, wall_ns, boot_ns, confirmed=True)
        self._told_ns, self._told_boot_ns = after.wall_ns, after.boot_ns
        self._suspect_since_ns = after.suspect_since_ns
        return after.wall_ns // NS_PER_MS

    def _confirmed(self, wall_ns: int, boot_ns: int) -> bool:
        if self._confirm is None or boot_ns - self._asked_ns < CONFIRM_INTERVAL_NS:
            return False
        self._asked_ns = boot_ns
        return self._confirm(wall_ns // NS_PER_MS)

    def _read_together(self) -> tuple[int, int]:
        """(wall, boot) read within a millisecond: a process that was stopped between two reads must not look like a step."""
        wall_ns = boot_ns = 0
        for _ in range(READ_TRIES_MAX):
            boot_ns, wall_ns = self._boot_ns(), self._wall_ns()
            if self._boot_ns() - boot_ns < NS_PER_MS:
                break
        return wall_ns, boot_ns

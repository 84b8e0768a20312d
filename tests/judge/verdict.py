"""All checkers over one history, what was counted, and the one honest line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tests.judge import (
    i01_never_early,
    i02_nothing_lost,
    i03_all_or_nothing,
    i04_bounded_repeats,
    i05_order,
    i06_cancel_wins_or_loses,
    i07_last_update_wins,
    i08_retries_exact,
    i09_child_once,
    i10_missed_exact,
    i11_clock_jumps,
    i12_read_your_writes,
    i13_liveness,
    i14_state_is_the_log,
    i15_refusals_complete,
    i16_idempotency,
    i17_nothing_left_over,
)
from tests.judge.history import History
from tests.judge.lives import lives_of
from tests.judge.records import Violation

INVARIANTS: tuple[ModuleType, ...] = (
    i01_never_early,
    i02_nothing_lost,
    i03_all_or_nothing,
    i04_bounded_repeats,
    i05_order,
    i06_cancel_wins_or_loses,
    i07_last_update_wins,
    i08_retries_exact,
    i09_child_once,
    i10_missed_exact,
    i11_clock_jumps,
    i12_read_your_writes,
    i13_liveness,
    i14_state_is_the_log,
    i15_refusals_complete,
    i16_idempotency,
    i17_nothing_left_over,
)
SHOWN_MAX = 20  # violations of one invariant that a report writes out
Check = Callable[[History], list[Violation]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge found. `line` is the sentence of the README."""

    violations: list[Violation]
    schedules: int
    faults: int
    kinds: int
    repeats: int
    lost: int
    early: int
    recovery_seconds: float
    recovery_kind: str
    seed: int

    @property
    def line(self) -> str:
        others = len(self.violations) - self.lost - self.early
        ids = "all with the same id" if self.repeats else "none at all"
        broken = f", {others} other promises broken" if others else ""
        return (
            f"{self.schedules:,} schedules, {self.faults} faults of {self.kinds} kinds: {self.lost} lost, {self.early} early, "
            f"{self.repeats} repeats, {ids}{broken}; longest recovery {self.recovery_seconds:.1f} s; seed {self.seed}"
        )

    def report(self) -> str:
        """The line, then the violations, so many of each invariant."""
        shown: list[str] = [self.line]
        for invariant in sorted({each.invariant for each in self.violations}):
            mine = [each for each in self.violations if each.invariant == invariant]
            shown.extend(str(each) for each in mine[:SHOWN_MAX])
            if len(mine) > SHOWN_MAX:
                shown.append(f"{invariant}: {len(mine) - SHOWN_MAX} more")
        return "\n".join(shown)


def judge(folder: Path) -> Verdict:
    """All of it, from a directory of saved files."""
    history = History(folder)
    violations = [violation for module in INVARIANTS for violation in module.check(history)]
    longest_ms, kind = i13_liveness.recovery_ms(history)
    return Verdict(
        violations=violations,
        schedules=sum(life.accepted for life in lives_of(history).values()),
        faults=len(history.faults),
        kinds=len({fault.kind for fault in history.faults}),
        repeats=sum(len(calls) - 1 for calls in i04_bounded_repeats.repeats_of(history).values()),
        lost=sum(each.invariant == "I2" for each in violations),
        early=sum(each.invariant == "I1" for each in violations),
        recovery_seconds=longest_ms / 1000,
        recovery_kind=kind,
        seed=history.settings.seed,
    )

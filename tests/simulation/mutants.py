"""Twelve builds that break one promise each. A judge that never convicted proves nothing: each must be caught by its invariant.

A mutant replaces one of the product's functions for the time of a run (`seams.twins_in_place`); nothing of it is in the
product. Each has a scenario in which its fault can show, the invariant that must name it, and the same scenario without it
must be clean.

    make mutants
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.simulation import mutations
from tests.simulation.scenario import Plan, Ran, simulate

SEEDS_MAX = 12
Replaced = Callable[[], Mapping[tuple[Any, str], Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`invariants`: any of them convicts it; the first is the one it was made for."""

    name: str
    invariants: tuple[str, ...]
    plan: Plan
    replaced: Replaced


def _plan(kinds: tuple[str, ...], mix: str = "all", *, operations: int = 80, faults: int = 6, **more: Any) -> Plan:
    return Plan(1, operations=operations, seconds=20.0, horizon=10.0, faults=faults, kinds=kinds, mix=mix, **more)


MUTANTS = (
    Mutant(
        "acknowledge before the log", ("I17", "I8"), _plan(("kill_executor",)), mutations.acknowledge_before_the_log
    ),
    Mutant("commit before apply", ("I2", "I7", "I12"), _plan(("kill_engine",)), mutations.commit_before_apply),
    Mutant("no epoch check", ("I5",), _plan(("cut_engine",), "rules"), mutations.no_epoch_check),
    Mutant("cursor moved before emit", ("I17", "I2"), _plan(("kill_engine",)), mutations.cursor_moved_before_emit),
    Mutant("retry counter in memory", ("I8",), _plan(("kill_engine",)), mutations.retry_counter_in_memory),
    Mutant("dedupe off", ("I4",), _plan(("replay_executions",)), mutations.dedupe_off),
    Mutant("cancel only local", ("I6",), _plan(("kill_engine_lost_disk",), "one_shots"), mutations.cancel_only_local),
    Mutant("skip ignored after a takeover", ("I10",), _plan(("kill_engine",), "rules"), mutations.skip_ignored),
    Mutant("wall clock for timeouts", ("I11",), _plan(("clock_forward",)), mutations.wall_clock_for_timeouts),
    Mutant("child released per result record", ("I9",), _plan((), "chains", faults=0), mutations.child_per_result),
    Mutant("refused record not committed", ("I17",), _plan(("poison",)), mutations.refused_not_committed),
    Mutant(
        "replay that skips tombstones", ("I14",), _plan(("kill_engine_lost_disk",), "chains"), mutations.no_tombstones
    ),
)


def convict(mutant: Mutant, seeds: int = SEEDS_MAX) -> tuple[Ran | None, int]:
    """(the run in which its invariant was broken, runs made); None when no run showed it."""
    for seed in range(1, seeds + 1):
        ran = simulate(replace(mutant.plan, seed=seed), mutant.replaced())
        if any(violation.invariant in mutant.invariants for violation in ran.violations):
            return ran, seed
    return None, seeds


def innocent(mutant: Mutant, seed: int) -> Ran:
    """The same run of the product as it is."""
    return simulate(replace(mutant.plan, seed=seed))


def main() -> int:
    """Prints a table; the exit code is how many were not caught."""
    missed = 0
    sys.stdout.write(f"{'mutant':34} {'caught by':10} {'seed':>4} {'seconds':>8}  the first violation\n")
    for mutant in MUTANTS:
        began = time.perf_counter()
        ran, seed = convict(mutant)
        seconds = time.perf_counter() - began
        if ran is None:
            missed += 1
            sys.stdout.write(f"{mutant.name:34} {'NOT CAUGHT':10} {seed:4} {seconds:8.1f}\n")
            continue
        found = next(each for each in ran.violations if each.invariant in mutant.invariants)
        control = innocent(mutant, seed)
        note = "" if control.good else f"  BUT THE PRODUCT ITSELF: {[str(each) for each in control.violations[:2]]}"
        missed += not control.good
        sys.stdout.write(f"{mutant.name:34} {found.invariant:10} {seed:4} {seconds:8.1f}  {str(found)[:90]}{note}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(MUTANTS) - missed} of {len(MUTANTS)} caught\n")
    return missed


if __name__ == "__main__":
    sys.exit(main())

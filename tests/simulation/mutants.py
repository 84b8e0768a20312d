"""Twelve builds that break one promise each. A judge that never convicted proves nothing: each must be caught by its invariant.

A mutant replaces one of the product's functions for the time of a run (`seams.twins_in_place`); nothing of it is in the
product. Each has a scenario in which its fault can show, the invariant that must name it, and the same scenario without it
must be clean.

    make mutants
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.simulation import mutations
from tests.simulation.scenario import Plan, Ran, quiet_process, simulate

SEEDS_MAX = 12
Replaced = Callable[[], Mapping[tuple[Any, str], Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`invariants`: any of them convicts it; the first is the one it was made for. `place`: where it dies, if not by chance."""

    name: str
    invariants: tuple[str, ...]
    plan: Plan
    replaced: Replaced
    place: str = ""


def _plan(kinds: tuple[str, ...], mix: str = "all", *, operations: int = 80, faults: int = 6, **more: Any) -> Plan:
    return Plan(1, operations=operations, seconds=20.0, horizon=10.0, faults=faults, kinds=kinds, mix=mix, **more)


_QUIET: tuple[str, ...] = ()
_COMMANDS = "engine commands: squirrel.timeline-changelog append before"
_EXECUTIONS = "engine firing: squirrel.executions append before"
_RESULTS = "executor: squirrel.results append before"
_SMALL = {"operations": 24, "faults": 0}

MUTANTS = (
    Mutant(
        "acknowledge before the log", ("I17",), _plan(_QUIET, **_SMALL), mutations.acknowledge_before_the_log, _RESULTS
    ),
    Mutant("commit before apply", ("I2",), _plan(_QUIET, **_SMALL), mutations.commit_before_apply, _COMMANDS),
    Mutant("no epoch check", ("I5",), _plan(("cut_engine",), "rules"), mutations.no_epoch_check),
    Mutant(
        "cursor moved before emit", ("I17",), _plan(_QUIET, **_SMALL), mutations.cursor_moved_before_emit, _EXECUTIONS
    ),
    Mutant(
        "retry counter in memory",
        ("I8",),
        _plan(("kill_engine", "kill_engine_lost_disk")),
        mutations.retry_counter_in_memory,
    ),
    Mutant("dedupe off", ("I4",), _plan(("replay_executions",)), mutations.dedupe_off),
    Mutant("cancel only local", ("I6",), _plan(("kill_engine_lost_disk",), "one_shots"), mutations.cancel_only_local),
    Mutant("skip ignored after a takeover", ("I10",), _plan(("kill_engine",), "rules"), mutations.skip_ignored),
    Mutant("wall clock for timeouts", ("I11",), _plan(("clock_forward",)), mutations.wall_clock_for_timeouts),
    Mutant("child released per result record", ("I9",), _plan(_QUIET, "chains", faults=0), mutations.child_per_result),
    Mutant("refused record not committed", ("I17",), _plan(("poison",)), mutations.refused_not_committed),
    Mutant(
        "replay that skips tombstones", ("I14",), _plan(("kill_engine_lost_disk",), "chains"), mutations.no_tombstones
    ),
)


def convict(mutant: Mutant, seeds: int = SEEDS_MAX) -> tuple[Ran | None, int]:
    """(the run in which its invariant was broken, runs made); None when no run showed it."""
    for made, plan in enumerate(_plans(mutant, seeds), 1):
        ran = simulate(plan, mutant.replaced())
        if any(violation.invariant in mutant.invariants for violation in ran.violations):
            return ran, made
    return None, seeds


def _plans(mutant: Mutant, seeds: int) -> Iterator[Plan]:
    """One seed after another; or one of the places of its name after another."""
    if not mutant.place:
        yield from (replace(mutant.plan, seed=seed) for seed in range(1, seeds + 1))
        return
    names = simulate(mutant.plan, mutant.replaced()).points
    numbers = [number for number, name in enumerate(names) if name == mutant.place]
    yield from (replace(mutant.plan, crash_at=number) for number in numbers[:: max(1, len(numbers) // seeds)])


def innocent(plan: Plan) -> Ran:
    """The same run of the product as it is."""
    return simulate(plan)


def main() -> int:
    """Prints a table; the exit code is how many were not caught."""
    quiet_process()
    missed = 0
    sys.stdout.write(f"{'mutant':34} {'caught by':10} {'runs':>4} {'seconds':>8}  the first violation\n")
    for mutant in MUTANTS:
        began = time.perf_counter()
        ran, made = convict(mutant)
        seconds = time.perf_counter() - began
        if ran is None:
            missed += 1
            sys.stdout.write(f"{mutant.name:34} {'NOT CAUGHT':10} {made:4} {seconds:8.1f}\n")
            continue
        found = next(each for each in ran.violations if each.invariant in mutant.invariants)
        control = innocent(ran.plan)
        note = "" if control.good else f"  BUT THE PRODUCT ITSELF: {[str(each) for each in control.violations[:2]]}"
        missed += not control.good
        sys.stdout.write(f"{mutant.name:34} {found.invariant:10} {made:4} {seconds:8.1f}  {str(found)[:90]}{note}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(MUTANTS) - missed} of {len(MUTANTS)} caught\n")
    return missed


if __name__ == "__main__":
    sys.exit(main())

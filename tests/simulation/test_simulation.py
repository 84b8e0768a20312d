"""The short form of `make simulate`: every kind of fault, deaths at places, fixed seeds and a fresh one, years; all must be kept.

A failure prints the line that repeats it.
"""

from __future__ import annotations

import secrets
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import pytest

from tests.simulation import places, rare
from tests.simulation.mutants import MUTANTS, convict
from tests.simulation.scenario import Plan, Ran, simulate
from tests.simulation.years import simulate_years

LEADS = rare.leading_plans(7000)
KNOWN = (1, 2, 3, 500, 518, 630, 363053, 549051)  # those above 3 were red once
FRESH = secrets.randbelow(1_000_000)
DEATHS_PER_WORKLOAD = 14
QUICK_MUTANTS = ("dedupe off", "cancel only local", "replay that skips tombstones")


@pytest.fixture(scope="module")
def sometimes() -> Counter[str]:
    """What the plans of this module came by."""
    return Counter()


def broken(ran: Ran, repeat: str) -> str:
    return f"repeat it with: {repeat}\n" + "\n".join([*ran.errors[:3], *map(str, ran.violations[:5])])


@pytest.mark.parametrize("plan", LEADS, ids=lambda plan: "+".join(plan.kinds))
def test_every_kind_of_fault_is_survived(plan: Plan, sometimes: Counter[str]) -> None:
    ran = simulate(plan)
    sometimes.update(ran.sometimes)
    assert ran.good, broken(ran, f"make simulate LEAD={plan.seed}")


def test_every_rare_path_was_taken(sometimes: Counter[str]) -> None:
    """Runs after the plans above, and counts what they came by."""
    if not sometimes:
        pytest.skip("the plans that lead there were not selected")
    assert not (missing := rare.never_seen(sometimes)), f"never seen: {missing}"


@pytest.mark.parametrize("workload", places.WORKLOADS)
def test_a_death_at_any_place_is_survived(workload: str) -> None:
    names = places.places(workload)
    firsts = places.chosen(names, per_name=1)
    assert len(firsts) == len(set(names)) > 30
    for number in firsts[:: max(1, len(firsts) // DEATHS_PER_WORKLOAD)]:
        ran = places.die_at(workload, number)
        assert ran.crashed_at == names[number], "a seed gives the same run up to the death"
        assert ran.good, f"dying at {ran.crashed_at}: " + broken(ran, f"make simulate PLACE={workload}:{number}")


@pytest.mark.parametrize("seed", [*KNOWN, FRESH], ids=[*map(str, KNOWN), "fresh"])
def test_a_seed(seed: int) -> None:
    ran = simulate(Plan.of_seed(seed))
    assert ran.good, broken(ran, f"make simulate SEED={seed}")


def test_a_seed_gives_the_same_run_again(tmp_path: Path) -> None:
    def digest(name: str) -> str:
        simulate(Plan(5, operations=40, seconds=15.0, faults=4), keep=tmp_path / name)
        return blake2b(
            (tmp_path / name / "sink.jsonl").read_bytes() + (tmp_path / name / "ledger.jsonl").read_bytes()
        ).hexdigest()

    assert digest("one") == digest("two")


def test_a_year_passes_in_seconds() -> None:
    passed = simulate_years(3, 1.0, instants=6)
    assert not passed.verdict.violations, passed.verdict.report()
    assert passed.leaps > 20
    assert passed.rows_left <= 4, "finished schedules leave the disk after their retention"


@pytest.mark.parametrize("mutant", [each for each in MUTANTS if each.name in QUICK_MUTANTS], ids=lambda each: each.name)
def test_a_broken_promise_is_seen(mutant: object) -> None:
    """Three of the twelve; `make mutants` has them all."""
    ran, _ = convict(mutant)  # type: ignore[arg-type]
    assert ran is not None, "the judge did not see it"

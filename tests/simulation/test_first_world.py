"""The simulated installation does its work, through faults, and does it again the same way from the same seed."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import pytest

from tests.simulation.scenario import Plan, simulate


@pytest.mark.parametrize("seed", [1, 2])
def test_a_fault_phase_and_a_healing_phase(seed: int, tmp_path: Path) -> None:
    ran = simulate(Plan(seed, operations=60, seconds=20.0, faults=4), keep=tmp_path)
    assert ran.good, f"make simulate SEED={seed}: {ran.errors[:3]} {[str(each) for each in ran.violations[:5]]}"
    assert ran.operations >= 60


def test_a_seed_gives_the_same_run_again(tmp_path: Path) -> None:
    def digest(name: str) -> str:
        simulate(Plan(5, operations=40, seconds=15.0, faults=4), keep=tmp_path / name)
        return blake2b(
            (tmp_path / name / "sink.jsonl").read_bytes() + (tmp_path / name / "ledger.jsonl").read_bytes()
        ).hexdigest()

    assert digest("one") == digest("two")

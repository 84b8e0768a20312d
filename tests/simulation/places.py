"""The single-fault campaign: every place at which a process can die in a small workload, once each; each must be survived.

A first run without a fault counts the places in order (the twins and the store name them); then each is the end of a process.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from tests.simulation.scenario import Plan, Ran, simulate

WORKLOADS = {
    "one-shots": Plan(101, operations=16, seconds=6.0, horizon=5.0, faults=0, mix="one_shots"),
    "rules": Plan(102, operations=9, seconds=4.0, horizon=3.0, faults=0, mix="rules"),
    "chains": Plan(103, operations=14, seconds=5.0, horizon=4.0, faults=0, mix="chains"),
}


def places(workload: str) -> list[str]:
    """The places of a workload, in the order in which they are come by."""
    ran = simulate(WORKLOADS[workload])
    assert ran.good, f"{workload} without a fault: {ran.errors} {ran.violations[:3]}"
    return ran.points


def chosen(names: list[str], per_name: int) -> list[int]:
    """For each kind of place so many of its numbers, the first and the last among them, the others spread between."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        numbers[name].append(number)
    found: set[int] = set()
    for mine in numbers.values():
        count = min(per_name, len(mine))
        found.update(mine[round(turn * (len(mine) - 1) / max(1, count - 1))] for turn in range(count))
    return sorted(found)


def die_at(workload: str, number: int) -> Ran:
    """The workload with one death."""
    return simulate(replace(WORKLOADS[workload], crash_at=number))

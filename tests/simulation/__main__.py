"""`make simulate [MINUTES=4] [SEED=8412]`: one seed again, or fresh ones until the time is up.

Without a seed: the plans that lead to every rare path, the single-fault campaign (all places when there is time), then random
plans from fresh seeds. The exit code is 1 when a promise was broken or a rare path was never taken; the line that repeats a
failure is printed with it.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections import Counter
from pathlib import Path

from tests.simulation import places, rare
from tests.simulation.scenario import Plan, Ran, quiet_process, simulate

CAMPAIGN_SHARE = 0.4  # of the time


class Campaign:
    """Counts what ran and prints what failed."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.sometimes: Counter[str] = Counter()
        self.runs = self.operations = self.failures = self.places = 0
        self.schedules = self.faults = self.repeats = 0

    def took(self, ran: Ran, repeat: str) -> None:
        self.runs += 1
        self.operations += ran.operations
        self.sometimes.update(ran.sometimes)
        if ran.verdict is not None:
            self.schedules += ran.verdict.schedules
            self.faults += ran.verdict.faults
            self.repeats += ran.verdict.repeats
        if ran.good:
            return
        self.failures += 1
        for sentence in (*ran.errors[:3], *map(str, ran.violations[:5])):
            say(f"  {sentence}")
        say(f"FAILED. Repeat it with: {repeat}")

    def over(self) -> bool:
        return time.monotonic() > self.until


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def one_seed(seed: int) -> int:
    """The run of a seed; its files stay for `python -m tests.judge`."""
    keep = Path(".simulation") / str(seed)
    ran = simulate(Plan.of_seed(seed), keep=keep)
    (keep / "log.txt").write_text("\n".join(ran.log), encoding="utf-8")
    assert ran.verdict is not None
    say(ran.verdict.report())
    for error in ran.errors:
        say(error)
    say(f"judged files and the log: {keep}")
    return 0 if ran.good else 1


def one_place(workload: str, number: int) -> int:
    """One death of the single-fault campaign."""
    ran = places.die_at(workload, number)
    assert ran.verdict is not None
    say(f"died at {ran.crashed_at}\n{ran.verdict.report()}")
    return 0 if ran.good else 1


def all_of_it(minutes: float) -> int:
    """Until the time is up."""
    began = time.monotonic()
    campaign = Campaign(began + minutes * 60)
    seed = secrets.randbelow(1_000_000)
    say(f"seeds from {seed} on, {minutes:g} minutes")
    for plan in rare.leading_plans(7000):
        campaign.took(simulate(plan), f"make simulate LEAD={plan.seed}")
    deadline = time.monotonic() + minutes * 60 * CAMPAIGN_SHARE
    for workload in places.WORKLOADS:
        names = places.places(workload)
        chosen = places.chosen(names, per_name=1 if minutes < 10 else len(names))
        for number in chosen:
            if time.monotonic() > deadline:
                break
            campaign.took(places.die_at(workload, number), f"make simulate PLACE={workload}:{number}")
            campaign.places += 1
    while not campaign.over():
        campaign.took(simulate(Plan.of_seed(seed)), f"make simulate SEED={seed}")
        seed += 1
    return told(campaign, time.monotonic() - began)


def told(campaign: Campaign, seconds: float) -> int:
    """The figures, and what was never seen."""
    say(
        f"{campaign.runs} runs ({campaign.places} of them at a single place), {campaign.operations} operations, "
        f"{campaign.schedules} schedules, {campaign.faults} faults, {campaign.repeats} repeats in {seconds:.0f} s "
        f"({campaign.runs / seconds * 60:.0f} runs and {campaign.operations / seconds * 60:.0f} operations a minute); "
        f"{campaign.failures} failures"
    )
    for name, count in sorted(campaign.sometimes.items()):
        say(f"  {name} {count}")
    missing = rare.never_seen(campaign.sometimes)
    for sentence in missing:
        say(f"NEVER SEEN {sentence}")
    return 1 if campaign.failures or missing else 0


def one_lead(seed: int) -> int:
    """One of the plans that lead to a rare path."""
    plan = next(plan for plan in rare.leading_plans(7000) if plan.seed == seed)
    ran = simulate(plan)
    assert ran.verdict is not None
    say(ran.verdict.report())
    return 0 if ran.good else 1


def main() -> int:
    """Reads the arguments."""
    quiet_process()
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--lead", type=int)
    parser.add_argument("--place", help="WORKLOAD:NUMBER")
    given = parser.parse_args()
    if given.seed is not None:
        return one_seed(given.seed)
    if given.lead is not None:
        return one_lead(given.lead)
    if given.place:
        workload, _, number = given.place.partition(":")
        return one_place(workload, int(number))
    return all_of_it(given.minutes)


if __name__ == "__main__":
    sys.exit(main())

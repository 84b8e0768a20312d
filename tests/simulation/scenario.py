"""One run of the simulation: a fault phase, a healing phase in which everything owed must be done, and the judgement."""

from __future__ import annotations

import gc
import logging
import random
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from squirrel.model.schedule import State
from tests.judge.records import Violation
from tests.judge.verdict import Verdict, judge
from tests.simulation.aftermath import rows_of, write_down
from tests.simulation.client import Client
from tests.simulation.loop import Killed, VirtualLoop, pause
from tests.simulation.nemesis import KINDS, Nemesis
from tests.simulation.seams import twins_in_place
from tests.simulation.workload import Workload
from tests.simulation.world import World

QUIET_SECONDS = 25.0  # after the last due instant: retries, their waits, and 10 s for what is owed
QUIET_SECONDS_MAX = 240.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run consists of."""

    seed: int
    operations: int = 120
    seconds: float = 40.0
    horizon: float = 15.0
    faults: int = 8
    kinds: tuple[str, ...] = KINDS
    engines: int = 2
    executors: int = 2
    partitions: int = 3
    crash_at: int | None = None
    mix: str = "all"
    lost_disk: bool = False  # of the process that dies at `crash_at`

    @classmethod
    def of_seed(cls, seed: int) -> Plan:
        """A size, a group of processes and a choice of faults that the seed decides (swarm testing: some kinds, not all)."""
        chance = random.Random(f"{seed}/plan")
        kinds = tuple(chance.sample(sorted(set(KINDS)), k=chance.randrange(3, 12)))
        return cls(
            seed,
            operations=chance.choice((60, 120, 120, 200)),
            faults=chance.choice((4, 8, 8, 14)),
            kinds=kinds,
            engines=chance.choice((1, 2, 2, 3)),
            executors=chance.choice((1, 2, 2)),
            partitions=chance.choice((1, 2, 3, 3)),
        )


@dataclass(slots=True)
class Ran:
    """What came of it."""

    plan: Plan
    violations: list[Violation]
    sometimes: Counter[str]
    operations: int
    points: list[str]
    crashed_at: str
    log: list[str]
    verdict: Verdict | None = None
    folder: Path | None = None
    errors: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.violations and not self.errors


def simulate(plan: Plan, replaced: Mapping[tuple[Any, str], Any] | None = None, *, keep: Path | None = None) -> Ran:
    """Runs the plan from its seed. `keep`: where the judged files are left."""
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=memory()))
    loop = VirtualLoop()
    was_on = gc.isenabled()
    gc.disable()  # what a dead process leaves is collected when nobody can be disturbed by it
    try:
        with twins_in_place(replaced):
            ran = loop.run_until_complete(_run(plan, folder, keep))
        ran.errors += [_told(details) for details in loop.unexpected if _matters(details)]
        return ran
    finally:
        with warnings.catch_warnings(), _silent_ends():
            warnings.simplefilter("ignore")  # of coroutines that a kill left in their middle
            gc.collect()
            loop.close()
        shutil.rmtree(folder, ignore_errors=True)
        if was_on:
            gc.enable()


def quiet_process() -> None:
    """For a process that does nothing but simulate: no logs of the services, no last words of killed coroutines."""
    logging.disable()
    sys.unraisablehook = lambda _: None


@contextmanager
def _silent_ends() -> Iterator[None]:
    """What a dead process's coroutines say when they are collected concerns nobody."""
    former, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = former


def memory() -> str | None:
    """Files that nobody needs later are kept in memory where the machine offers it."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _matters(details: Mapping[str, Any]) -> bool:
    error = details.get("exception")
    return error is not None and not isinstance(error, Killed)


def _told(details: Mapping[str, Any]) -> str:
    return f"{details.get('message')}: {details.get('exception')!r}"


async def _run(plan: Plan, folder: Path, keep: Path | None) -> Ran:
    world = World(plan.seed, folder / "world", partitions=plan.partitions, crash_at=plan.crash_at)
    world.loses_disk = plan.lost_disk
    client = Client(world)
    for role, count in (("engine", plan.engines), ("executor", plan.executors), ("intake", 1), ("recorder", 1)):
        for number in range(count):
            world.start(role, f"{role}{number + 1}")
    await pause(2.0)
    for group in world.groups.values():
        group.settled_generation = group.generation
    workload = Workload(world, client, plan.mix, count=plan.operations, seconds=plan.seconds, horizon=plan.horizon)
    nemesis = Nemesis(world, client, kinds=plan.kinds)
    working = world.loop.create_task(workload.run())
    if plan.faults:
        await nemesis.run(plan.faults, plan.seconds)
    while not working.done():
        await pause(0.1)
    working.result()
    await nemesis.heal()
    last_heal_ns = world.boot_ns()
    errors = await _quiet(world, workload)
    ran = Ran(plan, [], world.sometimes, len(client.ledger) // 2, world.point_names, world.crashed_at, world.log)
    ran.errors = errors
    _count_drops(world)
    judged = await write_down(world, client, last_heal_ns)
    ran.verdict = judge(judged)
    ran.violations = ran.verdict.violations
    if keep is not None:
        shutil.copytree(judged, keep, dirs_exist_ok=True)
        ran.folder = keep
    world.close()
    return ran


async def _quiet(world: World, workload: Workload) -> list[str]:
    """Waits until nothing is owed and nothing moves any more, or far too long."""
    owed = max(0.0, (workload.last_due_ms - world.wall_ms()) / 1000)
    await pause(owed + QUIET_SECONDS)
    for _ in range(int(QUIET_SECONDS_MAX)):
        reason = _unsettled(world)
        await pause(1.0)  # for offsets, which are committed a few times a second
        if reason is None:
            return []
    return [f"not quiet after {QUIET_SECONDS_MAX:g} s: {reason}"]


def _unsettled(world: World) -> str | None:
    for name, process in world.processes.items():
        service = world.services.get(name)
        if process.dead or service is None or service.ready() is not None:
            return f"{name} {'is dead' if process.dead else 'is not ready'}"
    for row in rows_of(world):
        if row.runs and row.state is not State.PAUSED:
            return f"{row.id} has open runs: {[f'{run.id} {run.state}' for run in row.runs[:3]]}"
    return None


def _count_drops(world: World) -> None:
    for service in world.services.values():
        executor = getattr(service, "executor", None)
        if executor is not None:
            world.sometimes["duplicate_dropped"] += executor.counters.repeats_dropped
            world.sometimes["stale_epoch_dropped"] += executor.counters.stale_epochs_dropped
            world.sometimes["finished_before_skipped"] += executor.counters.skipped

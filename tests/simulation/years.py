"""Years in seconds: when nothing is due and nothing moves, time leaps to just before what comes next."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from squirrel.model.when import Every, When
from tests.judge.verdict import Verdict, judge
from tests.simulation import disk
from tests.simulation.aftermath import write_down
from tests.simulation.client import Client
from tests.simulation.loop import VirtualLoop, pause
from tests.simulation.scenario import memory
from tests.simulation.seams import twins_in_place
from tests.simulation.workload import Workload
from tests.simulation.world import World

DAY_MS = 86_400_000
BEFORE_SECONDS = 3.0  # time leaps to this long before the next instant
AFTER_SECONDS = 8.0  # and goes on for so long at its own pace


@dataclass(slots=True)
class Years:
    """What came of it."""

    verdict: Verdict
    years: float
    leaps: int
    rows_left: int


def simulate_years(seed: int, years: float, *, instants: int = 40) -> Years:
    """One-shots far away and rules of days and weeks, with an engine that loses its disk or sleeps for a month in between."""
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=memory()))
    loop = VirtualLoop()
    try:
        with twins_in_place():
            return loop.run_until_complete(_run(seed, years, instants, folder))
    finally:
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _run(seed: int, years: float, instants: int, folder: Path) -> Years:
    world = World(seed, folder / "world", partitions=2)
    chance = random.Random(f"{seed}/years")
    client = Client(world)
    for role, name in (
        ("engine", "engine1"),
        ("engine", "engine2"),
        ("executor", "executor1"),
        ("recorder", "recorder1"),
    ):
        world.start(role, name)
    world.start("intake", "intake1")
    await pause(2.0)
    await _ask(world, client, chance, years, instants)
    end_ms = world.wall_ms() + int(years * 365 * DAY_MS)
    leaps = 0
    while world.wall_ms() < end_ms:
        next_ms = min(_next_due_ms(world), end_ms)
        away = (next_ms - world.wall_ms()) / 1000 - BEFORE_SECONDS
        if away > 0:
            if chance.random() < 0.15:
                await _trouble(world, chance)
            world.leap(max(0.0, (next_ms - world.wall_ms()) / 1000 - BEFORE_SECONDS))
            leaps += 1
        await pause(AFTER_SECONDS)
    healed_ns = world.boot_ns()
    await pause(20.0)
    verdict = judge(await write_down(world, client, healed_ns))
    rows = sum(service.parts.store.pending(number) for service in _engines(world) for number in service.engine.owners)
    world.close()
    return Years(verdict, years, leaps, rows)


def _engines(world: World) -> list[Any]:
    return [service for _, service in sorted(world.services.items()) if hasattr(service, "engine")]


def _next_due_ms(world: World) -> int:
    found = [
        due_ms
        for service in _engines(world)
        for number in service.engine.owners
        if (due_ms := service.parts.store.next_due_ms(number)) is not None
    ]
    return min(found, default=world.wall_ms() + DAY_MS)


async def _trouble(world: World, chance: random.Random) -> None:
    """An engine dies, and comes back with what it had or without."""
    process = world.processes[chance.choice(("engine1", "engine2"))]
    world.fault("kill", process.name, 1.0)
    world.kill(process)
    if chance.random() < 0.4:
        disk.wipe(world, process.name)
    await pause(chance.choice((1.0, 14.0)))
    world.start(process.role, process.name)
    await pause(14.0)


async def _ask(world: World, client: Client, chance: random.Random, years: float, instants: int) -> None:
    workload = Workload(world, client, count=0, seconds=1.0, horizon=1.0)
    span_ms = int(years * 365 * DAY_MS)
    for number in range(instants):
        at_ms = world.wall_ms() + 10_000 + chance.randrange(span_ms - 30 * DAY_MS)
        asked: dict[str, Any] = {"at_ms": at_ms, **workload.common(f"far-{number}")}
        await workload.created(f"far-{number}", asked, When(at_ms=at_ms))
    for number, (unit, days, value) in enumerate((("week", 7, 4), ("day", 1, 30), ("day", 1, 45))):
        start_ms = (world.wall_ms() // 1000 + 60) * 1000
        asked = {"every_ms": days * value * DAY_MS, "start_ms": start_ms, "overlap": "allow", "missed": "run_all"}
        asked |= workload.common(f"rule-{number}", fails_max=0)
        await workload.created(f"rule-{number}", asked, When(every=Every(unit, value, start_ms)))

"""Carries out a plan of faults, each with its healing, and writes down when it began and when it was healed."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random

from tests.chaos.ending import Ending
from tests.chaos.installation import Installation
from tests.chaos.plan import KIND_OF, Planned
from tests.judge.ledger import Ledger, Lines

Tell = Callable[[str], None]


class World:
    """What a fault may touch: the installation, the seeded chance, the ledger, the clocks' files."""

    def __init__(self, installation: Installation, ledger: Ledger, chance: Random, ending: Ending) -> None:
        self.on = installation
        self.ledger = ledger
        self.chance = chance
        self.ending = ending
        self.jump_ms = 0  # set by a fault of the clock that is running
        self.clock_files: dict[str, Path] = {}
        self.stubborn: list[str] = []  # services that did not end when they were told to

    async def pause(self, seconds: float) -> None:
        await self.ending.pause(seconds)


Fault = Callable[[World, str, float], Awaitable[int | None]]


class Nemesis:
    """`await nemesis.carry_out(plan)`; `faults` counts by kind. A fault that fails ends the run: a plan is not a wish."""

    def __init__(self, world: World, faults: dict[str, Fault], path: Path, tell: Tell) -> None:
        self._world = world
        self._faults = faults
        self._lines = Lines(path)
        self._tell = tell
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.counts: dict[str, int] = defaultdict(int)
        self.last_heal_ns = 0

    async def carry_out(self, plan: Sequence[Planned], until: float) -> None:
        """Two lanes side by side, each in order; what a lane is late for it does at once, but not after `until`, monotonic."""
        began = time.monotonic()
        lanes: dict[str, list[Planned]] = defaultdict(list)
        for fault in plan:
            lanes[KIND_OF[fault.kind].lane].append(fault)
        async with asyncio.TaskGroup() as group:
            for lane in lanes.values():
                group.create_task(self._lane(lane, began, until))

    async def _lane(self, lane: Sequence[Planned], began: float, until: float) -> None:
        for fault in lane:
            await self._world.pause(began + fault.at_seconds - time.monotonic())
            if self._world.ending.over or time.monotonic() > until:
                return
            await self.inflict(fault)

    async def inflict(self, fault: Planned) -> None:
        """One fault from its beginning to its healing."""
        async with self._locks[fault.target]:
            self._tell(f"{fault.kind} {fault.target} {fault.seconds:g} s")
            since_ns = time.monotonic_ns()
            jump_ms = await self._faults[fault.kind](self._world, fault.target, fault.seconds)
            until_ns = time.monotonic_ns()
        self.counts[fault.kind] += 1
        self.last_heal_ns = max(self.last_heal_ns, until_ns)
        record = {"mono_ns": since_ns, "end_ns": until_ns, "kind": fault.kind, "target": fault.target}
        self._lines.write({**record, "jump_ms": jump_ms or 0})

    def close(self) -> None:
        self._lines.close()

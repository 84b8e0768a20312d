"""What goes wrong, by chance: processes die, stand still, come back with other disks; broker, network and clocks fail."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any

from tests.simulation import disk
from tests.simulation.client import Client
from tests.simulation.loop import pause

Fault = Callable[[], Coroutine[Any, Any, None]]
KINDS = (
    "kill_engine",
    "kill_engine_lost_disk",
    "kill_engine_old_copy",
    "kill_executor",
    "kill_executor",
    "kill_other",
    "terminate",
    "stop_engine",
    "stop_executor",
    "cut_engine",
    "cut_engine_long",
    "cut_executor",
    "broker_away",
    "broker_long_away",
    "clock_forward",
    "clock_back",
    "clock_strobe",
    "lossy",
    "replay_executions",
    "replay_results",
    "compact",
    "poison",
    "offsets_lost",
    "swizzle",
)


class Nemesis:
    """`count` faults, one after another, pauses between them; a share of them overlap."""

    def __init__(self, world: Any, client: Client, *, kinds: tuple[str, ...] = KINDS) -> None:
        self.world = world
        self.client = client
        self.kinds = kinds
        self.chance = random.Random(f"{world.seed}/nemesis")
        self._running: list[Any] = []

    async def run(self, count: int, seconds: float) -> None:
        """Returns when the last fault is over."""
        for _ in range(count):
            await pause(self.chance.expovariate(count / seconds))
            kind = self.chance.choice(self.kinds)
            fault: Fault = getattr(self, kind)
            task = self.world.loop.create_task(fault())
            if self.chance.random() < 0.8:
                await _ended(task)
            else:
                self._running.append(task)
        for task in self._running:
            await _ended(task)

    async def heal(self) -> None:
        """Everything is as it should be again."""
        world = self.world
        world.lossy, world.slow = 0.0, 0.02
        if world.broker.away:
            world.broker.come_back()
        for name, process in list(world.processes.items()):
            process.skew_ms = 0
            if process.cut_since is not None:
                world.mend(process)
            if process.stopped_at is not None:
                process.go_on()
            if process.dead:
                world.start(process.role, name)

    def _one(self, role: str) -> Any:
        return self.chance.choice([each for name, each in sorted(self.world.processes.items()) if each.role == role])

    # --- processes --------------------------------------------------------------------------------------------------

    async def _kill(self, process: Any, away: float) -> None:
        if process.dead:
            return
        self.world.fault("kill", process.name, away)
        self.world.kill(process)
        await pause(away)

    def _away(self) -> float:
        """Within the session mostly, and sometimes so long that another takes over."""
        return self.chance.choice((0.3, 1.0, 2.0, 13.0))

    async def kill_engine(self) -> None:
        process = self._one("engine")
        await self._kill(process, self._away())
        self.world.start("engine", process.name)

    async def kill_engine_lost_disk(self) -> None:
        process = self._one("engine")
        await self._kill(process, self._away())
        if self.world.processes[process.name].dead:
            disk.wipe(self.world, process.name)
            self.world.count("recovery_from_empty")
        self.world.start("engine", process.name)

    async def kill_engine_old_copy(self) -> None:
        process = self._one("engine")
        await self._kill(process, self._away())
        if self.world.processes[process.name].dead:
            if disk.restore_copy(self.world, process.name):
                self.world.count("old_copy_restored")
            else:
                disk.keep_copy(self.world, process.name)
        self.world.start("engine", process.name)

    async def kill_executor(self) -> None:
        process = self._one("executor")
        await self._kill(process, self._away())
        self.world.start("executor", process.name)

    async def kill_other(self) -> None:
        process = self._one(self.chance.choice(("intake", "recorder")))
        await self._kill(process, self._away())
        self.world.start(process.role, process.name)

    async def terminate(self) -> None:
        """A planned restart."""
        process = self._one(self.chance.choice(("engine", "executor", "engine")))
        if process.dead or process.stopped_at is not None:
            return
        self.world.fault("terminate", process.name, 1.0)
        await self.world.terminate(process)
        self.world.count("terminated")
        self.world.start(process.role, process.name)

    async def _stop(self, process: Any, seconds: float) -> None:
        if process.dead or process.stopped_at is not None:
            return
        self.world.fault("stop", process.name, seconds)
        process.stop()
        await pause(seconds)
        if not process.dead:
            process.go_on()

    async def stop_engine(self) -> None:
        """Shorter than what the watchdog bears, or so long that somebody else owns its partitions when it goes on."""
        await self._stop(self._one("engine"), self.chance.choice((1.0, 4.0, 14.0, 25.0)))

    async def stop_executor(self) -> None:
        await self._stop(self._one("executor"), self.chance.choice((1.0, 4.0, 14.0)))

    async def swizzle(self) -> None:
        """All stop one by one and go on in another order."""
        processes = [each for _, each in sorted(self.world.processes.items()) if each.role != "client"]
        self.chance.shuffle(processes)
        tasks = []
        for process in processes:
            tasks.append(self.world.loop.create_task(self._stop(process, self.chance.uniform(1.0, 4.0))))
            await pause(0.3)
        for task in tasks:
            await _ended(task)

    # --- network and broker -------------------------------------------------------------------------------------------

    async def _cut(self, process: Any, seconds: float) -> None:
        if process.dead or process.cut_since is not None:
            return
        self.world.fault("cut", process.name, seconds)
        process.cut_since = self.world.loop.time()
        await pause(seconds)
        self.world.mend(process)

    async def cut_engine(self) -> None:
        await self._cut(self._one("engine"), self.chance.choice((1.0, 5.0, 9.8, 10.5, 20.0)))

    async def cut_engine_long(self) -> None:
        """So long that another owns its partitions when what it had sent arrives after all."""
        await self._cut(self._one("engine"), self.chance.choice((12.0, 15.0)))

    async def cut_executor(self) -> None:
        await self._cut(self._one("executor"), self.chance.choice((1.0, 5.0, 12.0)))

    async def _broker_away(self, seconds: float) -> None:
        broker = self.world.broker
        if broker.away:
            return
        self.world.fault("broker", "broker", seconds)
        broker.leave()
        await pause(seconds)
        broker.come_back()

    async def broker_away(self) -> None:
        await self._broker_away(self.chance.choice((0.5, 2.0, 5.0)))

    async def broker_long_away(self) -> None:
        await self._broker_away(self.chance.choice((15.0, 45.0)))

    async def lossy(self) -> None:
        """Answers of the broker are lost, everything is slow."""
        self.world.fault("network", "broker", 4.0)
        self.world.lossy, self.world.slow = 0.3, 0.3
        await pause(4.0)
        self.world.lossy, self.world.slow = 0.0, 0.02

    # --- clocks -----------------------------------------------------------------------------------------------------

    async def _set_clock(self, jump_ms: int, seconds: float) -> None:
        process = self._one(self.chance.choice(("engine", "executor")))
        self.world.fault("clock", process.name, seconds, jump_ms)
        process.skew_ms = jump_ms
        await pause(seconds)
        self.world.processes[process.name].skew_ms = 0
        process.skew_ms = 0

    async def clock_forward(self) -> None:
        await self._set_clock(self.chance.choice((200, 900, 5_000, 3_600_000)), self.chance.choice((1.0, 4.0)))

    async def clock_back(self) -> None:
        await self._set_clock(-self.chance.choice((200, 2_000, 8_000)), 3.0)

    async def clock_strobe(self) -> None:
        process = self._one("executor")
        self.world.fault("clock", process.name, 2.0, 200)
        for turn in range(40):
            process.skew_ms = 200 if turn % 2 else -200
            await pause(0.05)
        process.skew_ms = 0

    # --- records ----------------------------------------------------------------------------------------------------

    async def _append_again(self, topic: str, count: int) -> None:
        log = self.world.broker.log(topic, self.chance.randrange(self.world.partitions))
        if log.records:
            start = self.chance.randrange(len(log.records))
            self.world.fault("replay", f"{topic}/{log.partition}")
            again = [(each.key, each.value, each.headers) for each in log.records[start : start + count]]
            self.world.broker.append(topic, log.partition, again)

    async def replay_executions(self) -> None:
        """Executions stand in the topic once more, with the epoch that they had: those that their executor has seen itself.

        What it finished before its start it knows by offset only, so a copy at another offset is news to it.
        """
        topic = self.world.topics.executions
        log = self.world.broker.log(topic, self.chance.randrange(self.world.partitions))
        since_ms = self.world.group("squirrel-executor").moved_ms + 500
        again = [(each.key, each.value, each.headers) for each in log.records[-20:] if each.timestamp > since_ms]
        if again:
            self.world.fault("replay", f"{topic}/{log.partition}")
            self.world.broker.append(topic, log.partition, again)

    async def replay_results(self) -> None:
        await self._append_again(self.world.topics.results, 20)

    async def compact(self) -> None:
        """Kafka cleans the changelog: older rows of a key go, tombstones stay for their time."""
        self.world.fault("workload compaction", "changelog")
        retention_ms = int(self.world.settings.changelog_retention_hours * 3_600_000)
        for log in self.world.broker.topics[self.world.topics.timeline_changelog]:
            if log.compact(self.world.wall_ms() - retention_ms):
                self.world.count("changelog_compacted")

    async def poison(self) -> None:
        topics = self.world.topics
        topic = self.chance.choice(
            (topics.inbox, topics.commands, topics.results, topics.executions, topics.completions)
        )
        partitions = len(self.world.broker.topics[topic])
        value = self.chance.choice((b"", b"\xc1garbage", b"{", b"[1,2", b'{"id": 7}', b"\x91\xa6create"))
        self.world.fault("poison", topic)
        await _ended(self.client.run(self.client.poison(topic, self.chance.randrange(partitions), value)))

    async def offsets_lost(self) -> None:
        """The group's offsets of one partition are gone while its owner is dead: all is read again from the beginning."""
        role = self.chance.choice(("engine", "executor"))
        process = self._one(role)
        group = self.world.group(f"squirrel-{role}")
        numbers = sorted(group.assigned.get(process.name, ()))
        if not numbers:
            return
        number = self.chance.choice(numbers)
        await self._kill(process, 1.0)
        if number not in group.assigned.get(process.name, ()):
            return
        self.world.fault("offsets", role, 1.0)
        for tp in [tp for tp in group.committed if tp.partition == number]:
            del group.committed[tp]
        self.world.start(role, process.name)


async def _ended(task: Any) -> None:
    while not task.done():
        await pause(0.05)
    task.result()

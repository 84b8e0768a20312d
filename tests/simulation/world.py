"""The world: one broker, services as simulated processes, time and chance, and what the judge will read."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from itertools import count
from pathlib import Path
from typing import Any

from squirrel.runtime.settings import Settings, load
from squirrel.wire.attempt import Attempt
from squirrel.wire.topics import Topics, topic_files
from tests.simulation import disk
from tests.simulation.broker import Broker, Record
from tests.simulation.group import Group
from tests.simulation.loop import STAGE, pause
from tests.simulation.process import Process
from tests.simulation.seams import build

T0_MS = 1_800_000_000_000
START_SECONDS = 1000.0  # the loop's time at the beginning of the world
STOP_SECONDS = 4.0  # runtime/service.py, STOP_SECONDS_MAX
RESTART_SECONDS = 1.0  # what a supervisor waits
Script = Callable[[Attempt], tuple[int | None, float]]  # status (None: hangs up) and how long it takes


class World:
    """Made inside the loop. `crash_at`: the number of the place at which a process is killed, once."""

    def __init__(self, seed: int, folder: Path, *, partitions: int = 3, crash_at: int | None = None) -> None:
        self.seed = seed
        self.folder = folder
        self.partitions = partitions
        self.loop: Any = asyncio.get_running_loop()
        self._network = random.Random(f"{seed}/network")
        random.seed(seed)  # the engine draws its jitter from there
        self.producer_ids = count()
        self.broker = Broker(self)
        self.topics = Topics()
        self.groups: dict[str, Group] = {}
        self.processes: dict[str, Process] = {}  # name -> the one that runs, or ran last
        self.services: dict[str, Any] = {}
        self.settings = _settings(folder, partitions)
        self.sometimes: Counter[str] = Counter()
        self.faults: list[dict[str, Any]] = []
        self.sink: list[dict[str, Any]] = []
        self.log: list[str] = []
        self.scripts: dict[str, Script] = {}
        self.points = 0
        self.point_names: list[str] = []
        self.crash_at = crash_at
        self.crashed_at = ""
        self.loses_disk = False
        self.lossy = 0.0  # share of appends whose answer is lost once
        self.slow = 0.02  # share of messages that take long
        self.stopped = False
        self._starts = count()
        self._cut: list[tuple[Process, Callable[[], None]]] = []
        for file in topic_files():
            common = file.partitions if isinstance(file.partitions, int) else partitions
            self.broker.create(file.topic, common)

    # --- time and chance --------------------------------------------------------------------------------------------

    def boot_ns(self) -> int:
        """What every clock that nobody can set says; the judge's too."""
        return round(self.loop.time() * 1_000_000_000)

    def wall_ns(self) -> int:
        """The true time."""
        return T0_MS * 1_000_000 + self.boot_ns() - round(START_SECONDS * 1_000_000_000)

    def leap(self, seconds: float) -> None:
        """Time passes in which nothing is due: to every process it is a machine that slept, and whose Kafka slept with it."""
        self.loop.leap(seconds)
        for group in self.groups.values():
            for name, app in group.members.items():
                group.beats[name] = self.loop.time()
                app.heard()
        for name, service in self.services.items():
            dog = getattr(service, "watchdog", None)
            if dog is not None and not self.processes[name].dead:
                dog._beat_at = self.processes[name].clock.monotonic()

    def wall_ms(self) -> int:
        return self.wall_ns() // 1_000_000

    def latency(self) -> float:
        if self._network.random() < self.slow:
            return self._network.uniform(0.02, 0.25)
        return self._network.uniform(0.0002, 0.002)

    def draw(self) -> float:
        return self._network.random()

    def loses_answer(self) -> bool:
        return self.lossy > 0 and self._network.random() < self.lossy

    # --- what happened ----------------------------------------------------------------------------------------------

    def count(self, name: str) -> None:
        """A rare path was taken."""
        self.sometimes[name] += 1

    def said(self, process: Process, message: str, values: dict[str, Any]) -> None:
        shown = " ".join(f"{name}={value}" for name, value in values.items() if name != "exc_info")
        self.log.append(f"{self.loop.time() - START_SECONDS:9.3f} {process.name}: {message} {shown}")

    def appended(self, records: list[Record]) -> None:
        """Seen at the broker; the watchers of a scenario may count there."""

    def fault(self, kind: str, target: str, seconds: float = 0.0, jump_ms: int = 0) -> dict[str, Any]:
        """Written down for the judge."""
        at = self.boot_ns()
        line = {"mono_ns": at, "end_ns": at + round(seconds * 1e9), "kind": kind, "target": target}
        if jump_ms:
            line["jump_ms"] = jump_ms
        self.faults.append(line)
        self.log.append(f"{self.loop.time() - START_SECONDS:9.3f} FAULT {kind} {target}")
        return line

    def at_point(self, process: Process, name: str) -> None:
        if process.role == "client" or self.stopped:
            return
        stage = STAGE.get()
        place = f"{process.role}{f' {stage}' if stage else ''}: {name}"
        self.points += 1
        self.point_names.append(place)
        if self.points - 1 == self.crash_at:
            self.crashed_at = place
            self.fault("kill", process.name, RESTART_SECONDS)
            self.kill(process)
            if self.loses_disk and process.role == "engine":
                disk.wipe(self, process.name)
            self._start_again(process)

    def script(self, attempt: Attempt) -> tuple[int | None, float]:
        """What the target does with this call."""
        found = self.scripts.get(attempt.schedule_id)
        return (200, 0.002) if found is None else found(attempt)

    # --- processes --------------------------------------------------------------------------------------------------

    def group(self, name: str) -> Group:
        if name not in self.groups:
            self.groups[name] = Group(self, name)
        return self.groups[name]

    def strangers(self, group: Group) -> list[Any]:
        """Members that run and are not known to the coordinator any more."""
        found = []
        for name, service in self.services.items():
            process = self.processes[name]
            app = getattr(service, "app", None)
            hears = not process.dead and process.stopped_at is None and process.cut_since is None
            if hears and app is not None and app.group is group and app.settled_at is not None and not group.knows(app):
                found.append(app)
        return found

    def start(self, role: str, name: str) -> Process:
        """Starts the process unless it runs."""
        former = self.processes.get(name)
        if self.stopped or (former is not None and not former.dead):
            assert former is not None
            return former
        process = Process(self, role, name, next(self._starts))
        if former is not None:
            process.skew_ms = former.skew_ms
        self.processes[name] = process
        self.log.append(f"{self.loop.time() - START_SECONDS:9.3f} start {name}")
        process.run(self._main(process))
        return process

    async def _main(self, process: Process) -> None:
        settings = self.settings.model_copy(update={"worker": process.name, "data_dir": self.folder / process.name})
        if process.role == "recorder":
            settings = settings.model_copy(update={"data_dir": self.folder})
        service = build(process, settings)
        self.services[process.name] = service
        await service.start()

    def kill(self, process: Process) -> None:
        """kill -9."""
        if process.dead:
            return
        process.kill()
        service = self.services.pop(process.name, None)
        if service is not None:
            if (app := getattr(service, "app", None)) is not None:
                self.broker.unwatch(app._thread.told)
            disk.leave_behind(service)

    def crashed(self, process: Process, error: BaseException | str) -> None:
        """The process found that it must not go on: it winds down as `run_service` does, and its supervisor starts it again."""
        if process.dead or process.ended_because:
            return
        process.ended_because = str(error)
        self.count("process_ended_itself")
        self.log.append(f"{self.loop.time() - START_SECONDS:9.3f} {process.name} ends: {type(error).__name__} {error}")
        process.run(self._wind_down(process))
        self.loop.call_later(STOP_SECONDS + 0.5, self.exit, process, str(error), context=Context())

    async def _wind_down(self, process: Process) -> None:
        service = self.services.get(process.name)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                if service is not None:
                    await service.stop()
        except Exception as error:  # noqa: BLE001 - it ends anyway
            self.said(process, "stopping met an error", {"error": repr(error)})
        self.exit(process, process.ended_because)

    def exit(self, process: Process, reason: str) -> None:
        """It is gone; the supervisor starts another one."""
        if process.dead:
            return
        if reason.startswith("watchdog"):
            self.count("watchdog_exit")
        if reason:
            self.fault("exit", process.name, RESTART_SECONDS)["detail"] = reason
        process.ended_because = process.ended_because or reason
        self.kill(process)
        self._start_again(process)

    def _start_again(self, process: Process) -> None:
        """As a supervisor, which is in none of our processes."""
        self.loop.call_later(RESTART_SECONDS, self.start, process.role, process.name, context=Context())

    async def terminate(self, process: Process) -> None:
        """SIGTERM: drain, commit, leave; nothing starts it again."""
        service = self.services.get(process.name)
        if service is not None and not process.dead:
            stopping = process.run(service.stop())
            deadline = self.loop.time() + STOP_SECONDS
            while not stopping.done() and not process.dead and self.loop.time() < deadline:
                await pause(0.01)
        self.kill(process)

    # --- network cuts -------------------------------------------------------------------------------------------------

    def cut_off(self, process: Process, arrive: Callable[[], None]) -> None:
        """A request that cannot get through waits; the client sends it again until it does."""
        self._cut.append((process, arrive))

    def mend(self, process: Process) -> None:
        process.cut_since = None
        waiting = [arrive for cut, arrive in self._cut if cut is process]
        self._cut = [(cut, arrive) for cut, arrive in self._cut if cut is not process]
        for arrive in waiting:
            arrive()

    # --- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Nothing runs any more; files are closed."""
        self.stopped = True
        for process in self.processes.values():
            self.kill(process)
        shutil.rmtree(self.folder, ignore_errors=True)


def _settings(folder: Path, partitions: int) -> Settings:
    settings, _ = load(
        {"partitions": partitions, "data_dir": str(folder), "kafka": "simulated:1", "log_level": "error"},
        environment={},
        env_file=folder / "none",
    )
    return settings

"""Faults of processes: killed, stopped, restarted, starved of file descriptors, with a clock that was set."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal

from tests.chaos.http import Http, NoAnswer
from tests.chaos.machine import set_clock
from tests.chaos.nemesis import Fault, World
from tests.chaos.plan import ENGINES, SERVICES
from tests.chaos.service import Service

FD_LIMIT = 64
CLOCK_JUMP_MS = 3_000
READY_SECONDS_MAX = 20.0
ENDED_SECONDS_MAX = 30.0  # a service stops in four and gives up then


async def kill(world: World, target: str, _: float) -> None:
    """kill -9; it is over when the process was started again."""
    service = world.on.services[target]
    lives = service.lives
    service.send(signal.SIGKILL)
    await service.restarted(lives)


async def restart(world: World, target: str, _: float) -> None:
    """SIGTERM: drain, commit, leave; over when it was started again."""
    service = world.on.services[target]
    lives = service.lives
    service.send(signal.SIGTERM)
    try:
        async with asyncio.timeout(ENDED_SECONDS_MAX):
            await service.restarted(lives)
    except TimeoutError:
        world.stubborn.append(target)
        await kill(world, target, 0)


async def stop(world: World, target: str, seconds: float) -> None:
    """SIGSTOP: nothing moves, and nothing is closed; a zombie when it lasts longer than the session."""
    service = world.on.services[target]
    service.send(signal.SIGSTOP)
    try:
        await world.pause(seconds)
    finally:
        service.send(signal.SIGCONT)


async def stutter(world: World, target: str, seconds: float) -> None:
    """A tenth of a second without an event loop in each half second."""
    for _ in range(max(1, round(seconds * 2))):
        await stop(world, target, 0.1)
        await world.pause(0.4)


async def swizzle(world: World, _: str, seconds: float) -> None:
    """All services are stopped one by one and go on in another order."""
    order = world.chance.sample(SERVICES, len(SERVICES))
    try:
        for name in order:
            world.on.services[name].send(signal.SIGSTOP)
            await world.pause(0.2)
        await world.pause(seconds)
    finally:
        for name in world.chance.sample(order, len(order)):
            world.on.services[name].send(signal.SIGCONT)
            await world.pause(0.2)


async def rebalance_storm(world: World, _: str, seconds: float) -> None:
    """An engine leaves and joins every four seconds."""
    for _round in range(max(1, int(seconds / 4))):
        await restart(world, world.chance.choice(ENGINES), 0)
        await world.pause(3)


async def rolling_restart(world: World, _: str, seconds: float) -> None:
    """Each service in turn, the next when the last one is ready."""
    for name in SERVICES:
        await restart(world, name, 0)
        await _until_ready(world, world.on.services[name])


async def _until_ready(world: World, service: Service) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_SECONDS_MAX
    http = Http(service.port, 2)
    while loop.time() < deadline and not world.ending.over:
        with contextlib.suppress(NoAnswer):
            if (await http.call("GET", "/readyz")).status == 200:
                break
        await world.pause(0.2)
    http.close()


async def kill_recovery(world: World, target: str, _: float) -> None:
    """Killed, and twice again while it starts and recovers."""
    for _round in range(3):
        await kill(world, target, 0)
        await world.pause(world.chance.uniform(0.8, 1.8))


async def few_descriptors(world: World, target: str, seconds: float) -> None:
    """No further file or connection: the limit is lowered under what is open."""
    pid = world.on.services[target].pid
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        soft, hard = resource.prlimit(
            pid, resource.RLIMIT_NOFILE, (FD_LIMIT, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        )
        await world.pause(seconds)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


async def clock_forward(world: World, target: str, seconds: float) -> int:
    await _set_clock(world, target, seconds, CLOCK_JUMP_MS)
    return CLOCK_JUMP_MS


async def clock_back(world: World, target: str, seconds: float) -> int:
    await _set_clock(world, target, seconds, -CLOCK_JUMP_MS)
    return -CLOCK_JUMP_MS


async def _set_clock(world: World, target: str, seconds: float, jump_ms: int) -> None:
    file = world.clock_files[target]
    try:
        set_clock(file, jump_ms)
        await world.pause(seconds)
    finally:
        set_clock(file, 0)


FAULTS: dict[str, Fault] = {
    "kill-engine": kill,
    "kill-executor": kill,
    "kill-gateway": kill,
    "kill-recorder": kill,
    "kill-intake": kill,
    "restart-service": restart,
    "zombie-engine": stop,
    "zombie-executor": stop,
    "stop-engine": stop,
    "stop-executor": stop,
    "stutter-engine": stutter,
    "swizzle": swizzle,
    "rebalance-storm": rebalance_storm,
    "rolling-restart": rolling_restart,
    "kill-recovery": kill_recovery,
    "fd-limit": few_descriptors,
    "clock-forward": clock_forward,
    "clock-back": clock_back,
}

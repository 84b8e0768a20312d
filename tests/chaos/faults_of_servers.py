"""Faults of what the services stand on: the broker, the network to it, the history."""

from __future__ import annotations

import contextlib
import os
import signal

from tests.chaos.nemesis import Fault, World
from tests.chaos.proxy import Proxy

SLOW_SECONDS = 0.1


async def broker_kill(world: World, _: str, seconds: float) -> None:
    """kill -9, and back after a while; over when it answers."""
    await world.on.broker_kill()
    await world.pause(seconds)
    await world.on.broker_start()


async def broker_stop(world: World, _: str, seconds: float) -> None:
    await _stopped(world, world.on.kafka.pid, seconds)


async def cassandra_kill(world: World, _: str, seconds: float) -> None:
    cassandra = world.on.cassandra
    assert cassandra is not None
    if cassandra.pid is not None:
        os.kill(cassandra.pid, signal.SIGKILL)
        await cassandra.stop()
    await world.pause(seconds)
    await cassandra.start()


async def cassandra_stop(world: World, _: str, seconds: float) -> None:
    assert world.on.cassandra is not None
    await _stopped(world, world.on.cassandra.pid, seconds)


async def _stopped(world: World, pid: int | None, seconds: float) -> None:
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        try:
            await world.pause(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)


def _links(world: World, target: str) -> list[Proxy]:
    """The link of one process, or those of a class of them."""
    return [proxy for name, proxy in world.on.proxies.items() if name == target or name.partition("-")[0] == target]


async def cut(world: World, target: str, seconds: float) -> None:
    """A cable that was pulled: connections stay open and say nothing; afterwards they are gone, as after any long cut."""
    links = _links(world, target)
    try:
        for link in links:
            link.cut()
        await world.pause(seconds)
    finally:
        for link in links:
            link.heal()
            if world.chance.random() < 0.5:
                link.reset()


async def one_way(world: World, target: str, seconds: float) -> None:
    """What is sent arrives, and no answer does; or the other way round."""
    links = _links(world, target)
    upward = world.chance.random() < 0.5
    try:
        for link in links:
            link.cut(up=upward, down=not upward)
        await world.pause(seconds)
    finally:
        for link in links:
            link.heal()


async def reset_links(world: World, target: str, _: float) -> None:
    for link in _links(world, target):
        link.reset()


async def slow_links(world: World, target: str, seconds: float) -> None:
    """A tenth of a second each way."""
    links = _links(world, target)
    try:
        for link in links:
            link.delay_seconds = SLOW_SECONDS
        await world.pause(seconds)
    finally:
        for link in links:
            link.delay_seconds = 0.0


FAULTS: dict[str, Fault] = {
    "broker-kill": broker_kill,
    "broker-stop": broker_stop,
    "broker-long-stop": broker_stop,
    "broker-outage": broker_kill,
    "cassandra-kill": cassandra_kill,
    "cassandra-stop": cassandra_stop,
    "cut-engine": cut,
    "cut-executor": cut,
    "cut-gateway": cut,
    "cut-recorder": cut,
    "oneway-engine": one_way,
    "reset-links": reset_links,
    "slow-links": slow_links,
}

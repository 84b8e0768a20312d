"""Behind a backlog: what comes after it and what is due now get their parts, and what is owed gets the rest."""

from __future__ import annotations

import httpx

from squirrel.engine import owner as room
from squirrel.model.instants import format_instant
from squirrel.wire.partitioner import partition_of
from tests.unit.gateway.world import NOW_MS, PARTITIONS, World, one_shot

GROUP = {"group": "g"}  # one partition


def emitted(world: World) -> list[str]:
    return [each.schedule for _, each in world.orders()]


async def test_what_is_due_now_does_not_wait_behind_what_is_late(world: World, api: httpx.AsyncClient) -> None:
    late, now = ids_of_one_partition("late", 12), ids_of_one_partition("now", 3)
    await _create(api, late, now)
    assert await _fired(world, 10) == [*now, *late[10:], *late[:5]]
    assert await _fired(world, 10) == late[5:10]


async def test_a_group_keeps_its_order(world: World, api: httpx.AsyncClient) -> None:
    late, now = [f"late-{number:02}" for number in range(12)], ["now-0", "now-1", "now-2"]
    await _create(api, late, now, **GROUP)
    assert await _fired(world, 10) == late[:10]
    assert await _fired(world, 10) == [*late[10:], *now]


def ids_of_one_partition(stem: str, count: int) -> list[str]:
    """Ids that share a partition, in order."""
    names = (f"{stem}-{number:04}" for number in range(10_000))
    return [name for name in names if partition_of("default", name, PARTITIONS) == 0][:count]


async def _create(api: httpx.AsyncClient, late: list[str], now: list[str], **more: str) -> None:
    for number, name in enumerate(late):
        await api.post("/api/v1/schedules", json=one_shot(id=name, when=at(10_000 + number), **more))
    for name in now:
        await api.post("/api/v1/schedules", json=one_shot(id=name, when=at(60_000), **more))


async def _fired(world: World, limit: int) -> list[str]:
    """What one step at the later instants emits."""
    owner = max(world.engine.owners.values(), key=lambda each: world.engine.parts.store.pending(each.partition))
    world.clock.wall_ms = NOW_MS + 60_000
    before = len(emitted(world))
    count = await owner.fire(limit)
    found = emitted(world)[before:]
    assert len(found) == count
    return found


async def test_one_step_emits_a_bounded_number(world: World, api: httpx.AsyncClient) -> None:
    rule = {"every": {"interval": "second"}}
    for number in range(8):
        owing = one_shot(id=f"owing-{number}", when=rule, missed="run_all", overlap="allow", **GROUP)
        assert (await api.post("/api/v1/schedules", json=owing)).status_code == 201
    owner = next(each for each in world.engine.owners.values() if world.engine.parts.store.pending(each.partition))
    world.clock.wall_ms = NOW_MS + 3_600_000
    before = room.FIRE_RECORDS_MAX
    try:
        room.FIRE_RECORDS_MAX = 1_500
        assert await owner.fire(100) == 2, "a thousand each, and then the others get their turn"
    finally:
        room.FIRE_RECORDS_MAX = before


def at(later_ms: int) -> dict[str, str]:
    return {"at": format_instant(NOW_MS + later_ms)}

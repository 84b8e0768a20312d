"""Behind a backlog: what is due now goes first, and what is owed still gets its half."""

from __future__ import annotations

import httpx

from squirrel.engine import owner as room
from squirrel.model.instants import format_instant
from squirrel.wire.records import decode_execution
from tests.unit.gateway.world import NOW_MS, TOPICS, World, one_shot

GROUP = {"group": "g"}  # one partition


def emitted(world: World) -> list[str]:
    records = [each for (topic, _), found in world.log.records.items() if topic == TOPICS.executions for each in found]
    return [decode_execution(value).schedule for _, value, _ in records if value is not None]


async def test_what_is_due_now_does_not_wait_behind_what_is_late(world: World, api: httpx.AsyncClient) -> None:
    for number in range(12):
        await api.post("/api/v1/schedules", json=one_shot(id=f"late-{number:02}", when=at(10_000 + number), **GROUP))
    for number in range(3):
        await api.post("/api/v1/schedules", json=one_shot(id=f"now-{number}", when=at(60_000), **GROUP))
    owner = next(each for each in world.engine.owners.values() if world.engine.parts.store.pending(each.partition))
    world.clock.wall_ms = NOW_MS + 60_000
    assert await owner.fire(10) == 10
    assert emitted(world) == ["now-0", "now-1", "now-2", *(f"late-{number:02}" for number in range(7))]
    assert await owner.fire(10) == 5
    assert emitted(world)[10:] == [f"late-{number:02}" for number in range(7, 12)]


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

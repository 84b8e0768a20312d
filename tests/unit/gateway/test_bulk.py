"""Bulk operations: found, changed, counted, polled."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from squirrel.gateway.bulk import PAGE_ITEMS
from squirrel.model.limits import PAGE_BYTES_MAX, PAYLOAD_BYTES_MAX
from squirrel.wire.owner_link import ListRows, decode_asks
from tests.eventually import eventually
from tests.unit.gateway.world import World, one_shot

PATH = "/api/v1/schedules:bulk"


async def create(api: httpx.AsyncClient, **fields: Any) -> None:
    answer = await api.post("/api/v1/schedules", json=one_shot(**fields))
    assert answer.status_code == 201, answer.text


async def run(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """The operation's last word."""
    answer = await api.post(PATH, json=body)
    assert answer.status_code == 202, answer.text
    begun = answer.json()["operation"]
    assert answer.headers["location"] == f"/api/v1/operations/{begun['id']}"
    seen: list[dict[str, Any]] = []

    async def over() -> bool:
        seen.append((await api.get(answer.headers["location"])).json()["operation"])
        return seen[-1]["state"] != "running"

    await eventually(over)
    assert seen[-1]["state"] == "succeeded", seen[-1]
    return seen[-1]


async def state_of(api: httpx.AsyncClient, schedule_id: str) -> str:
    state: str = (await api.get(f"/api/v1/schedules/{schedule_id}")).json()["state"]
    return state


async def test_pause_by_tag_and_group(api: httpx.AsyncClient) -> None:
    for number in range(3):
        await create(api, id=f"a{number}", tags=["x"], group="g")
    await create(api, id="b", tags=["x"])
    await create(api, id="c", tags=["y"], group="g")
    counted = await api.post(PATH, json={"filter": {"tag": "x"}, "action": "pause", "dry_run": True})
    assert (counted.status_code, counted.json()["operation"]["matched"]) == (200, 4)
    assert await state_of(api, "b") == "active"
    done = await run(api, filter={"tag": "x", "group": "g"}, action="pause")
    assert [done[name] for name in ("matched", "done", "failed", "skipped")] == [3, 3, 0, 0]
    assert [await state_of(api, each) for each in ("a0", "a1", "a2", "b", "c")] == ["paused"] * 3 + ["active"] * 2
    assert (await run(api, filter={"state": "paused"}, action="resume"))["done"] == 3
    assert (await run(api, filter={"event": "email.*"}, action="cancel"))["done"] == 5
    assert await state_of(api, "c") == "cancelled"


async def test_shift_moves_one_shots_and_skips_rules(api: httpx.AsyncClient) -> None:
    await create(api, id="once")
    await create(api, id="rule", when={"cron": "0 9 * * *"})
    done = await run(api, filter={"event": "email.send"}, action="shift", seconds=3600)
    assert [done[name] for name in ("matched", "done", "skipped")] == [2, 1, 1]
    assert done["errors"][0]["id"] == "rule"
    assert (await api.get("/api/v1/schedules/once")).json()["next_run"] == "2027-06-01T11:00:00.000Z"


async def test_tags_are_added(api: httpx.AsyncClient) -> None:
    await create(api, id="a", tags=["x"])
    await create(api, id="b", tags=["x", "z"])
    done = await run(api, filter={"tag": "x"}, action="tag", tags=["z"])
    assert [done[name] for name in ("matched", "done", "skipped")] == [2, 1, 1]
    assert (await api.get("/api/v1/schedules/a")).json()["tags"] == ["x", "z"]


async def test_more_than_a_page(api: httpx.AsyncClient) -> None:
    many = [one_shot(id=f"m{number:04d}", tags=["many"]) for number in range(700)]
    assert (await api.post("/api/v1/schedules:batch", json={"schedules": many})).status_code == 200
    assert (await run(api, filter={"tag": "many"}, action="pause"))["done"] == 700


async def test_no_more_than_a_page_is_held_at_once(world: World, api: httpx.AsyncClient) -> None:
    """However many match: what one page names is changed before the next one is read."""
    count = 3 * PAGE_ITEMS + 100
    for first in range(0, count, 800):
        many = [one_shot(id=f"m{number:04d}") for number in range(first, first + 800)]
        assert (await api.post("/api/v1/schedules:batch", json={"schedules": many})).status_code == 200
    made, sent_at_page = world.log.commands, []

    async def watched(body: bytes) -> bytes:
        if any(isinstance(ask, ListRows) for ask in decode_asks(body)):
            sent_at_page.append(world.log.commands - made)
        return await world.engine.answer(body)

    world.answer_asks = watched
    done = await run(api, filter={"state": ["active", "paused"]}, action="pause")
    assert [done[name] for name in ("matched", "done", "failed", "skipped")] == [count, count, 0, 0]
    assert sent_at_page == [0, PAGE_ITEMS, 2 * PAGE_ITEMS, 3 * PAGE_ITEMS]


async def test_a_page_is_bounded_in_bytes_too(api: httpx.AsyncClient) -> None:
    """Rows carry their messages: a page of the largest ones ends early and the next goes on."""
    message = "x" * (PAYLOAD_BYTES_MAX - 100)
    count = PAGE_BYTES_MAX // PAYLOAD_BYTES_MAX + 8
    for number in range(count):
        await create(api, id=f"m{number:03d}", message=message, tags=["large"], group="one-partition")
    page = (await api.get("/api/v1/schedules", params={"tag": "large", "limit": 1000})).json()
    assert 0 < len(page["items"]) <= PAGE_BYTES_MAX // len(message)
    assert (await run(api, filter={"tag": "large"}, action="pause"))["done"] == count


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "filter"),
        ({"filter": {}, "action": "pause"}, "filter"),
        ({"filter": {"tag": "x"}}, "action"),
        ({"filter": {"tag": "x"}, "action": "delete"}, "action"),
        ({"filter": {"tags": "x"}, "action": "pause"}, "filter.tags"),
        ({"filter": {"state": "sleeping"}, "action": "pause"}, "filter.state"),
        ({"filter": {"template": 5}, "action": "pause"}, "filter.template"),
        ({"filter": {"tag": "x"}, "action": "shift"}, "seconds"),
        ({"filter": {"tag": "x"}, "action": "shift", "seconds": 0}, "seconds"),
        ({"filter": {"tag": "x"}, "action": "pause", "seconds": 5}, "seconds"),
        ({"filter": {"tag": "x"}, "action": "tag"}, "tags"),
        ({"filter": {"tag": "x"}, "action": "tag", "tags": [5]}, "tags[0]"),
        ({"filter": {"tag": "x"}, "action": "pause", "dry_run": "yes"}, "dry_run"),
        ({"filter": {"tag": "x"}, "action": "pause", "really": True}, "really"),
    ],
)
async def test_bad_bulks_name_the_field(api: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    answer = await api.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    assert field in [each["field"] for each in answer.json()["errors"]]


async def test_operations_belong_to_a_namespace(api: httpx.AsyncClient) -> None:
    begun = await api.post(PATH, json={"filter": {"tag": "x"}, "action": "pause"})
    there = await api.get(begun.headers["location"], headers={"Squirrel-Namespace": "other"})
    assert there.status_code == 404
    assert (await api.get("/api/v1/operations/none")).status_code == 404

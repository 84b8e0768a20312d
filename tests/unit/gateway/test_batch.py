"""`:batch`: every item has its own outcome."""

from __future__ import annotations

import httpx
import pytest

from squirrel.model.limits import BATCH_ITEMS_MAX
from tests.unit.gateway.world import TOPICS, World, one_shot


async def test_each_item_has_its_own_result_in_order(api: httpx.AsyncClient, world: World) -> None:
    await api.post("/api/v1/schedules", json=one_shot(id="taken"))
    world.log.appends.clear()
    items = [one_shot(id=f"b{number}") for number in range(40)]
    items[3] = one_shot(id="bad id")
    items[7] = one_shot(id="taken", message="other")
    items[9] = one_shot(id="b8")
    items[11] = one_shot(when={"at": "yesterday"})
    answer = await api.post("/api/v1/schedules:batch", json={"schedules": items})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [
        {3: 422, 7: 409, 11: 422}.get(number, 201) for number in range(40)
    ]
    assert results[3]["id"] is None
    assert results[3]["error"]["errors"][0]["field"] == "id"
    assert results[11]["error"]["errors"][0]["field"] == "when.at"
    assert [result["id"] for result in results[:3]] == ["b0", "b1", "b2"]
    appends = [each for each in world.log.appends if each[0] == TOPICS.commands]
    assert len(appends) == len({partition for _, partition, _ in appends}), "one append per partition"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 400, "body"), (b"{", 400, "body"), (b"[]", 422, "body"), (b"{}", 422, "schedules"),
        (b'{"schedules": []}', 422, "schedules"), (b'{"schedules": {}}', 422, "schedules"), (b'{"x": []}', 422, "x"),
    ],
)  # fmt: skip
async def test_a_body_that_is_no_batch(api: httpx.AsyncClient, body: bytes, status: int, field: str) -> None:
    answer = await api.post("/api/v1/schedules:batch", content=body)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["field"] == field


async def test_a_batch_has_a_limit(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/v1/schedules:batch", json={"schedules": [1] * (BATCH_ITEMS_MAX + 1)})
    assert answer.status_code == 422
    assert "1000" in answer.json()["detail"]


async def test_items_of_a_keyed_batch_are_keyed(api: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "nightly"}
    body = {"schedules": [one_shot(), one_shot(message=2)]}
    first = (await api.post("/api/v1/schedules:batch", json=body, headers=key)).json()["results"]
    again = (await api.post("/api/v1/schedules:batch", json=body, headers=key)).json()["results"]
    assert again == first
    assert first[0]["id"] != first[1]["id"]
    body["schedules"][1]["message"] = 3
    changed = (await api.post("/api/v1/schedules:batch", json=body, headers=key)).json()["results"]
    assert [each["status"] for each in changed] == [201, 422]


async def test_without_kafka_each_item_says_so(api: httpx.AsyncClient, world: World) -> None:
    world.log.down = True
    results = (await api.post("/api/v1/schedules:batch", json={"schedules": [one_shot(), one_shot()]})).json()[
        "results"
    ]
    assert [each["status"] for each in results] == [503, 503]

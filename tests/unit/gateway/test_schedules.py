"""The calls on schedules, through the real link and the real engine."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.unit.gateway.world import HOOK, NOW_MS, World, client_of, create_app, one_shot


async def create(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await api.post("/api/v1/schedules", json=one_shot(**fields))
    assert response.status_code == 201, response.text
    return dict(response.json())


async def test_create_and_get(api: httpx.AsyncClient) -> None:
    response = await api.post("/api/v1/schedules", json=one_shot(id="invoice-42"))
    assert response.status_code == 201
    assert response.headers["etag"] == '"1"'
    assert response.headers["location"] == "/api/v1/schedules/invoice-42"
    made = response.json()
    assert (made["id"], made["revision"], made["state"]) == ("invoice-42", 1, "active")
    assert made["next_run"] == "2027-06-01T10:00:00.000Z"
    got = await api.get("/api/v1/schedules/invoice-42")
    assert got.status_code == 200
    assert got.json() == made
    assert got.headers["etag"] == '"1"'


async def test_the_seed_request_works_unchanged(api: httpx.AsyncClient) -> None:
    await api.put("/api/v1/routes/email.send.*", json={"target": HOOK})
    body = {
        "event": "email.send.paper_workflow_1", "message": {"subject": "Reminder"}, "sendAt": "2025-02-01T10:00:00Z",
        "maxRetries": 0, "fireAndForget": True,
    }  # fmt: skip
    response = await api.post("/api/v1/schedule", json=body)
    assert response.status_code == 201
    assert "past" in response.json()["warnings"][0]


async def test_the_same_id_again(api: httpx.AsyncClient) -> None:
    first = await create(api, id="a")
    again = await api.post("/api/v1/schedules", json=one_shot(id="a"))
    assert (again.status_code, again.json()) == (201, first)
    other = await api.post("/api/v1/schedules", json=one_shot(id="a", message=2))
    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"
    problem = other.json()
    assert problem["type"] == "urn:squirrel:problem:conflict"
    assert problem["errors"][0]["field"] == "id"


async def test_idempotency_key(api: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "order-7"}
    first = await api.post("/api/v1/schedules", json=one_shot(), headers=key)
    again = await api.post("/api/v1/schedules", json=one_shot(), headers=key)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    other = await api.post("/api/v1/schedules", json=one_shot(message="other"), headers=key)
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_idempotency_key_is_remembered_by_the_engine_too(world: World) -> None:
    key = {"Idempotency-Key": "order-7"}
    async with client_of(create_app(world.deps())) as first:
        assert (await first.post("/api/v1/schedules", json=one_shot(), headers=key)).status_code == 201
    async with client_of(create_app(world.deps())) as restarted:
        other = await restarted.post("/api/v1/schedules", json=one_shot(message="other"), headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:squirrel:problem:idempotency_key_reused")


async def test_a_key_with_an_id_of_the_callers(api: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    refused = await api.post("/api/v1/schedules", json=one_shot(id="bad id"), headers=key)
    assert refused.status_code == 422
    assert (await api.post("/api/v1/schedules", json=one_shot(id="x"), headers=key)).status_code == 201
    assert (await api.post("/api/v1/schedules", json=one_shot(id="x"), headers=key)).status_code == 201
    assert (await api.post("/api/v1/schedules", json=one_shot(id="y"), headers=key)).status_code == 422


@pytest.mark.parametrize("schedule_id", ["a:b", "a@b:c", "x:pausing", "u.1~2+3=4-5", "pause"])
async def test_ids_may_hold_what_paths_may(api: httpx.AsyncClient, schedule_id: str) -> None:
    await create(api, id=schedule_id)
    assert (await api.get(f"/api/v1/schedules/{schedule_id}")).json()["id"] == schedule_id
    paused = await api.post(f"/api/v1/schedules/{schedule_id}:pause")
    assert (paused.status_code, paused.json()["state"]) == (200, "paused")
    assert (await api.delete(f"/api/v1/schedules/{schedule_id}")).status_code == 204


async def test_put_replaces_and_patch_merges(api: httpx.AsyncClient) -> None:
    await create(api, id="a", name="first", tags=["x"])
    patched = await api.patch("/api/v1/schedules/a", json={"when": {"at": "2027-07-01T10:00:00Z"}})
    assert (patched.status_code, patched.headers["etag"]) == (200, '"2"')
    assert patched.json()["next_run"] == "2027-07-01T10:00:00.000Z"
    assert patched.json()["name"] == "first"
    put = await api.put("/api/v1/schedules/a", json=one_shot())
    assert (put.status_code, put.json()["revision"], put.json()["name"]) == (200, 3, "")
    stale = await api.patch("/api/v1/schedules/a", json={"name": "n"}, headers={"If-Match": '"2"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, '"3"')
    current = await api.patch("/api/v1/schedules/a", json={"name": "n"}, headers={"If-Match": '"3"'})
    assert current.json()["name"] == "n"
    nonsense = await api.delete("/api/v1/schedules/a", headers={"If-Match": '"three"'})
    assert nonsense.status_code == 412
    broken = await api.delete("/api/v1/schedules/a", headers={"If-Match": "three"})
    assert (broken.status_code, broken.json()["errors"][0]["field"]) == (422, "If-Match")


async def test_too_late_says_which_run(api: httpx.AsyncClient, world: World) -> None:
    await create(api, id="a", when={"in_seconds": 0})
    await world.emitted()
    late = await api.patch("/api/v1/schedules/a", json={"message": 2})
    assert late.status_code == 409
    assert late.json()["run"]["state"] == "in_flight"
    assert (await api.delete("/api/v1/schedules/a")).status_code == 409
    await world.finish()
    over = await api.delete("/api/v1/schedules/a")
    assert (over.status_code, over.json()["run"]["state"]) == (409, "succeeded")


async def test_pause_resume_trigger_delete(api: httpx.AsyncClient) -> None:
    await create(api, id="a")
    assert (await api.post("/api/v1/schedules/a:pause")).json()["state"] == "paused"
    assert (await api.post("/api/v1/schedules/a:resume")).json()["state"] == "active"
    run = await api.post("/api/v1/schedules/a:trigger")
    assert run.status_code == 201
    assert (run.json()["schedule_id"], run.json()["state"]) == ("a", "in_flight")
    found = await api.get(run.headers["location"])
    assert found.json()["id"] == run.json()["id"]
    await create(api, id="b")
    assert (await api.delete("/api/v1/schedules/b")).status_code == 204
    assert (await api.delete("/api/v1/schedules/b")).status_code == 204
    assert (await api.get("/api/v1/schedules/b")).json()["state"] == "cancelled"


async def test_a_cancel_waits_for_a_run_that_is_on_its_way_or_names_it(api: httpx.AsyncClient, world: World) -> None:
    await create(api, id="rule", when={"every": {"interval": "hour", "value": 1}})
    run = (await api.post("/api/v1/schedules/rule:trigger")).json()["id"]
    late = await api.delete("/api/v1/schedules/rule")
    assert (late.status_code, late.headers["location"]) == (202, "/api/v1/schedules/rule")
    assert (late.json()["run"]["id"], late.json()["state"]) == (run, "cancelled")
    assert run in late.json()["warnings"][0]
    asked = asyncio.create_task(api.delete("/api/v1/schedules/rule"))
    await world.caught_up()
    assert await world.finish() == run
    assert (await asked).status_code == 204, "it was over while the cancel was answered"


async def test_respond_async(api: httpx.AsyncClient) -> None:
    response = await api.post("/api/v1/schedules", json=one_shot(id="a"), headers={"Prefer": "respond-async, wait=5"})
    assert (response.status_code, response.json()["accepted"]) == (202, True)
    assert response.headers["location"] == "/api/v1/schedules/a"


async def test_groups_are_found_wherever_they_live(api: httpx.AsyncClient) -> None:
    for number in range(8):
        await create(api, id=f"g{number}", group="one")
    for number in range(8):
        assert (await api.get(f"/api/v1/schedules/g{number}")).status_code == 200
        assert (await api.post(f"/api/v1/schedules/g{number}:pause")).status_code == 200
        assert (await api.delete(f"/api/v1/schedules/g{number}")).status_code == 204


async def test_unknown_things(api: httpx.AsyncClient) -> None:
    for method, path in [
        ("GET", "/api/v1/schedules/none"), ("DELETE", "/api/v1/schedules/none"), ("PUT", "/api/v1/schedules/none"),
        ("POST", "/api/v1/schedules/none:pause"), ("POST", "/api/v1/schedules/none:complete"), ("GET", "/nowhere"),
        ("GET", "/api/v1/schedules/bad%20id"), ("GET", "/api/v1/schedules/none/runs"), ("GET", "/api/v1/runs/run_0"),
        ("POST", "/api/v1/runs/run_0:replay"), ("GET", "/api/v1/routes/none"), ("DELETE", "/api/v1/routes/none"),
    ]:  # fmt: skip
        response = await api.request(method, path, json=one_shot() if method == "PUT" else None)
        assert response.status_code == 404, (method, path, response.text)
        assert response.headers["content-type"] == "application/problem+json"
        assert set(response.json()) == {"type", "title", "status", "detail"}
    wrong = await api.request("PATCH", "/api/v1/schedules")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, POST")


async def test_namespaces_do_not_see_each_other(api: httpx.AsyncClient) -> None:
    await create(api, id="a")
    there = {"Squirrel-Namespace": "team-b"}
    assert (await api.get("/api/v1/schedules/a", headers=there)).status_code == 404
    assert (await api.get("/api/v1/schedules", headers=there)).json()["items"] == []
    made = await api.post("/api/v1/schedules", json=one_shot(id="a"), headers=there)
    assert made.json()["namespace"] == "team-b"
    bad = await api.get("/api/v1/schedules", headers={"Squirrel-Namespace": "Team B"})
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "Squirrel-Namespace")


async def test_list_pages_and_filters(api: httpx.AsyncClient, world: World) -> None:
    for number in range(12):
        world.clock.wall_ms = NOW_MS + number
        await create(api, id=f"s{number:02d}", tags=["even"] if number % 2 == 0 else [], event=f"e.{number % 3}")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": 5} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/api/v1/schedules", params=parameters)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"s{number:02d}" for number in reversed(range(12))]
    even = (await api.get("/api/v1/schedules", params={"tag": "even", "limit": 2})).json()
    assert [item["id"] for item in even["items"]] == ["s10", "s08"]
    rest = (await api.get("/api/v1/schedules", params={"tag": "even", "cursor": even["next_cursor"]})).json()
    assert [item["id"] for item in rest["items"]] == ["s06", "s04", "s02", "s00"]
    assert len((await api.get("/api/v1/schedules?event=e.1")).json()["items"]) == 4
    assert [item["id"] for item in (await api.get("/api/v1/schedules?q=s07")).json()["items"]] == ["s07"]
    await api.delete("/api/v1/schedules/s00")
    assert len((await api.get("/api/v1/schedules")).json()["items"]) == 11
    assert [i["id"] for i in (await api.get("/api/v1/schedules?state=cancelled")).json()["items"]] == ["s00"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("limit=5&limit=6", "limit"),
        ("cursor=%21", "cursor"), ("cursor=AAAA", "cursor"), ("state=nice", "state"), ("colour=red", "colour"),
        ("tag=%00", "tag"), ("q=" + "x" * 300, "q"), ("%FF=1", "query"),
    ],
)  # fmt: skip
async def test_bad_parameters_are_named(api: httpx.AsyncClient, query: str, field: str) -> None:
    response = await api.get(f"/api/v1/schedules?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field

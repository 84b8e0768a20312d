"""Runs: what the history and the schedule's row know, shown as one."""

from __future__ import annotations

import httpx
import pytest

from tests.unit.gateway.world import World, one_shot


async def fire(api: httpx.AsyncClient, world: World, schedule_id: str = "a") -> None:
    made = await api.post("/api/v1/schedules", json=one_shot(id=schedule_id, when={"in_seconds": 0}))
    assert made.status_code == 201
    await world.emitted()


async def test_a_run_from_emission_to_history(api: httpx.AsyncClient, world: World) -> None:
    await fire(api, world)
    (run,) = (await api.get("/api/v1/schedules/a/runs")).json()["items"]
    assert run["state"] == "in_flight"
    assert [each["number"] for each in run["attempts"]] == [1]
    assert (await api.get(f"/api/v1/runs/{run['id']}")).json() == run
    assert [each["id"] for each in (await api.get("/api/v1/runs?state=in_flight")).json()["items"]] == [run["id"]]

    await world.finish(record=False)
    (over,) = (await api.get("/api/v1/schedules/a/runs")).json()["items"]
    assert (over["id"], over["state"], over["attempts"]) == (run["id"], "succeeded", [])


async def test_the_history_has_the_last_word(api: httpx.AsyncClient, world: World) -> None:
    await fire(api, world)
    run_id = await world.finish()
    shown = (await api.get(f"/api/v1/runs/{run_id}")).json()
    assert shown["state"] == "succeeded"
    (attempt,) = shown["attempts"]
    assert {"due", "emitted", "picked_up", "started", "finished"} < set(attempt)
    assert (attempt["status"], attempt["headers"], attempt["body"]) == (200, {"x": "y"}, "ok")
    assert (await api.get("/api/v1/schedules/a/runs")).json()["items"] == [shown]
    assert (await api.get("/api/v1/runs")).json()["items"] == [shown]
    assert (await api.get("/api/v1/runs?state=failed")).json()["items"] == []


async def test_who_triggered_a_run_is_named_before_the_history_knows(api: httpx.AsyncClient, world: World) -> None:
    made = await api.post("/api/v1/schedules", json=one_shot(id="a", when={"in_seconds": 3600}))
    assert made.status_code == 201
    answer = await api.post("/api/v1/schedules/a:trigger", headers={"X-User": "ada"})
    assert answer.json()["triggered_by"] == "ada"
    path = f"/api/v1/runs/{answer.json()['id']}"
    assert (await api.get(path)).json()["triggered_by"] == "ada"
    await world.emitted()
    await world.finish()  # its records name nobody, as when the outcome is still on its way
    assert (await api.get(f"/api/executions/{answer.json()['id']}")).json()["triggered_by"] == "ada"
    (listed,) = (await api.get("/api/v1/schedules/a/runs")).json()["items"]
    assert listed["triggered_by"] == "ada"
    unnamed = await api.post("/api/v1/schedules/a:trigger")
    assert unnamed.json()["triggered_by"] == "rest"


async def test_runs_outlive_their_schedules_owner(api: httpx.AsyncClient, world: World) -> None:
    await fire(api, world)
    run_id = await world.finish()
    world.link_down = True
    assert (await api.get(f"/api/v1/runs/{run_id}")).status_code == 200
    assert (await api.get("/api/v1/schedules/a/runs")).status_code == 200


async def test_replay_names_the_old_run(api: httpx.AsyncClient, world: World) -> None:
    await fire(api, world)
    run_id = await world.finish()
    body = {"message": {"again": True}, "target": {"type": "http", "url": "https://other.example.com/"}}
    replayed = await api.post(f"/api/v1/runs/{run_id}:replay", json=body)
    assert replayed.status_code == 201
    assert replayed.json()["replay_of"] == run_id
    assert replayed.json()["id"] != run_id
    assert (await api.get(f"/api/v1/runs/{run_id}")).json()["state"] == "succeeded"
    assert (await api.post(f"/api/v1/runs/{run_id}:replay")).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"), [({"messages": 1}, "messages"), ({"target": {"url": "ftp://x"}}, "target.url"), ([], "body")]
)
async def test_a_replay_body_is_checked(api: httpx.AsyncClient, world: World, body: object, field: str) -> None:
    await fire(api, world)
    run_id = await world.finish()
    answer = await api.post(f"/api/v1/runs/{run_id}:replay", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("query", "field"),
    [("from=yesterday", "from"), ("to=2027-01-01T00:00:00", "to"), ("state=odd", "state"), ("cursor=x", "cursor")],
)
async def test_bad_filters_are_named(api: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await api.get(f"/api/v1/runs?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_dead_letters(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/v1/dead-letters")).json() == {"items": [], "next_cursor": None}

"""Routes: put, get, list, delete, and what a create without a target then meets."""

from __future__ import annotations

import httpx

from tests.unit.gateway.world import HOOK, World, client_of, create_app, one_shot


async def test_a_routes_life(api: httpx.AsyncClient) -> None:
    path = "/api/v1/routes/email.send.*"
    made = await api.put(path, json={"target": HOOK, "retry": {"max_retries": 1}})
    assert made.status_code == 201
    assert made.headers["location"] == path
    assert made.json()["pattern"] == "email.send.*"
    changed = await api.put(path, json={"target": HOOK})
    assert changed.status_code == 200
    assert changed.json()["created_at"] == made.json()["created_at"]
    assert (await api.get(path)).json() == changed.json()
    assert (await api.get("/api/v1/routes")).json()["items"] == [changed.json()]
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_a_route_lets_a_schedule_do_without_a_target(api: httpx.AsyncClient) -> None:
    bare = one_shot(event="email.send.now", target=None)
    refused = await api.post("/api/v1/schedules", json=bare)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "target")
    await api.put("/api/v1/routes/email.*", json={"target": HOOK})
    assert (await api.post("/api/v1/schedules", json=bare)).status_code == 201
    there = await api.post("/api/v1/schedules", json=bare, headers={"Squirrel-Namespace": "other"})
    assert there.status_code == 422


async def test_bad_routes_are_refused(api: httpx.AsyncClient) -> None:
    for path, body, field in [
        ("a*b", {"target": HOOK}, "pattern"),
        ("ok", {}, "target"),
        ("ok", {"target": {"type": "http", "url": "http://169.254.169.254/"}}, "target.url"),
        ("ok", {"target": HOOK, "retri": {}}, "retri"),
    ]:
        answer = await api.put(f"/api/v1/routes/{path}", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), path


async def test_secrets_are_kept_and_hidden(api: httpx.AsyncClient, world: World) -> None:
    body = {"target": HOOK | {"headers": {"Authorization": "Bearer s3cret"}}}
    shown = (await api.put("/api/v1/routes/a", json=body)).text
    assert "s3cret" not in shown
    again = await api.put("/api/v1/routes/a", json={"target": (await api.get("/api/v1/routes/a")).json()["target"]})
    assert again.status_code == 200
    assert b"s3cret" in world.definitions.values[b"default/route/a"]


async def test_a_definition_that_cannot_be_read_is_left_out(world: World) -> None:
    world.definitions.take([(b"default/route/x", b"{", ()), (b"default/calendar/y", b"{}", ())])
    async with client_of(create_app(world.deps())) as api:
        assert (await api.get("/api/v1/routes")).json()["items"] == []

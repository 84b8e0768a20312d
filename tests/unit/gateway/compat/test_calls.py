"""The foreign calls in one process, where the clock, the token and the owners are the test's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from squirrel.gateway.compat.openapi import LINES
from tests.unit.gateway.world import World, client_of, create_app, running_world

TASK = {"webhook": "https://hooks.example.com/x", "ttl": 60, "data": {"a": 1}}
JOB = {
    "name": "J", "type": "http", "target": "https://hooks.example.com/j", "schedule_type": "recurring",
    "interval": "hour", "interval_value": 1,
}  # fmt: skip
CRON = {"name": "C", "cron_expression": "0 * * * *", "target_url": "https://hooks.example.com/c"}
RULE = {"name": "R", "rrule": "FREQ=DAILY", "callback_url": "https://hooks.example.com/r"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path) as made:
        yield made


@pytest.fixture
async def api(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(world.deps())) as client:
        yield client


async def test_without_a_token_everyone_may_call(api: httpx.AsyncClient) -> None:
    assert (await api.post("/schedule", json=TASK)).status_code == 200
    assert (await api.get("/schedules", headers={"Authorization": "anything"})).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/schedules", {"data": "Unauthorized.", "status": 401}),
        ("/jobs", {"message": "Unauthorized"}),
        ("/api/schedules", {"error": "Unauthorized"}),
    ],
)
async def test_a_stranger_is_told_in_the_seeds_words(world: World, path: str, body: dict[str, Any]) -> None:
    async with client_of(create_app(world.deps(api_token="right"))) as client:
        answer = await client.get(path)
        assert (answer.status_code, answer.json()) == (401, body)
        for header in ("right", "Bearer right"):
            assert (await client.get(path, headers={"Authorization": header})).status_code == 200
        for open_path in ("/", "/health", "/docs/openapi.yml", "/swagger-ui"):
            assert (await client.get(open_path)).status_code == 200


@pytest.mark.parametrize("path", ["/schedule", "/jobs", "/api/schedules"])
async def test_browsers_of_allowed_origins_may_call(world: World, path: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
    app = create_app(world.deps(api_token="right", allowed_origins=("https://shop.example",)))
    async with client_of(app) as client:
        for origin, status in (("https://shop.example", 200), ("https://other.example", 400)):
            answer = await client.options(path, headers={"Origin": origin, **asked})
            assert answer.status_code == status
            assert (answer.headers.get("access-control-allow-origin") == origin) is (status == 200)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/schedules/x/y", '{"error":"Route not found.","status":404}'),
        ("/jobs/x/y", "404 Not Found"),
        ("/api/x", "404 page not found"),
    ],
)
async def test_unknown_paths_are_told_in_the_seeds_words(api: httpx.AsyncClient, path: str, text: str) -> None:
    answer = await api.get(path)
    assert (answer.status_code, answer.text) == (404, text)


async def test_an_owner_that_is_away_is_told_in_the_seeds_words(world: World, api: httpx.AsyncClient) -> None:
    key = (await api.post("/schedule", json=TASK)).json()["data"]
    world.link_down = True
    for path, field in ((f"/schedule/{key}", "error"), ("/jobs", "message"), ("/api/schedules", "error")):
        answer = await api.get(path)
        assert answer.status_code == 503
        assert field in answer.json()
        assert "Retry-After" in answer.headers
    created = await api.post("/jobs", json=JOB)
    assert created.status_code == 201, "Kafka has it"
    assert created.json()["job"]["name"] == "J"


async def test_namespaces_are_apart(api: httpx.AsyncClient) -> None:
    there = {"Squirrel-Namespace": "other"}
    key = (await api.post("/schedule", json=TASK, headers=there)).json()["data"]
    assert (await api.get(f"/schedule/{key}")).status_code == 404
    assert (await api.get(f"/schedule/{key}", headers=there)).status_code == 200


async def test_one_api_does_not_see_the_others_schedules(api: httpx.AsyncClient) -> None:
    key = (await api.post("/schedule", json=TASK)).json()["data"]
    job = (await api.post("/jobs", json=JOB)).json()["job"]["id"]
    rule = (await api.post("/api/schedules", json=RULE)).json()["id"]
    cron = (await api.post("/api/schedules", json=CRON)).json()["id"]
    assert [each["info"]["key"] for each in (await api.get("/schedules")).json()["data"]] == [key]
    assert [each["id"] for each in (await api.get("/jobs")).json()] == [job]
    assert (await api.get(f"/jobs/{cron}")).status_code == 404
    hook = {"type": "http", "url": "https://hooks.example.com/n"}
    for event in ("jobs.job", "redis.task"):  # a native schedule may have any event
        native = await api.post("/api/v1/schedules", json={"event": event, "when": {"in_seconds": 60}, "target": hook})
        assert native.status_code == 201
        assert [each["id"] for each in (await api.get("/jobs")).json()] == [job]
        assert (await api.get("/stats")).json()["data"]["running_schedules"] == 1
        assert (await api.delete(f"/api/v1/schedules/{native.json()['id']}")).status_code == 204
    assert {each["id"] for each in (await api.get("/api/schedules")).json()} == {key, job, rule, cron}
    assert "rrule" in (await api.get(f"/api/schedules/{rule}")).json()
    assert (await api.get(f"/api/schedules/{job}")).json()["target_url"] == JOB["target"]
    assert (await api.post("/purge")).status_code == 200
    assert {each["id"] for each in (await api.get("/api/schedules")).json()} == {job, rule, cron}


async def test_what_was_deleted_is_gone_but_for_its_history(api: httpx.AsyncClient) -> None:
    job = (await api.post("/jobs", json=JOB)).json()["job"]["id"]
    cron = (await api.post("/api/schedules", json=CRON)).json()["id"]
    for path in (f"/jobs/{job}", f"/api/schedules/{cron}"):
        assert [(await api.delete(path)).status_code for _ in range(2)] == [200, 404]
        assert (await api.get(path)).status_code == 404
    assert (await api.get("/jobs")).json() == (await api.get("/api/schedules")).json() == []
    assert (await api.get(f"/api/v1/schedules/{job}")).json()["state"] == "cancelled"


async def test_a_task_whose_call_is_under_way(world: World, api: httpx.AsyncClient) -> None:
    key = (await api.post("/schedule", json={**TASK, "ttl": 1})).json()["data"]
    world.clock.wall_ms += 1_000
    await world.emitted()
    for method in ("PATCH", "DELETE"):
        answer = await api.request(method, f"/schedule/{key}", json={"ttl": 5} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()["status"]) == (409, 409)
        assert "under way" in answer.json()["error"]


async def test_a_disabled_schedule_owes_nothing_without_catch_up(world: World, api: httpx.AsyncClient) -> None:
    for catch_up, due in ((False, "2027-01-15T18:00:00.000Z"), (True, "2027-01-15T09:00:00.000Z")):
        made = (await api.post("/api/schedules", json={**CRON, "catch_up_missed": catch_up})).json()
        path = f"/api/schedules/{made['id']}"
        began_ms = world.clock.wall_ms
        assert (await api.post(f"{path}/disable")).json()["enabled"] is False
        world.clock.wall_ms += 10 * 3_600_000 - 60_000  # 17:59
        assert (await api.post(f"{path}/enable")).json()["enabled"] is True
        native = (await api.get(f"/api/v1/schedules/{made['id']}")).json()
        assert native["next_run"] == due
        world.clock.wall_ms = began_ms
        await api.delete(path)


async def test_a_body_that_is_too_large(api: httpx.AsyncClient) -> None:
    answer = await api.post("/schedule", json={**TASK, "data": "x" * 300_000})
    assert (answer.status_code, answer.json()["status"]) == (413, 413)
    answer = await api.post("/jobs", json={**JOB, "payload": {"x": "x" * 300_000}})
    assert answer.status_code == 413
    answer = await api.post("/api/schedules", json={**RULE, "body": "x" * 300_000})
    assert answer.status_code == 413


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NAMES = sorted(
    {
        *TASK, *JOB, *CRON, *RULE, "id", "status", "enabled", "timezone", "headers", "tags", "max_retries", "method",
        "body", "payload", "target_payload", "timeout_seconds", "created_at", "target_headers",
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "good"),
    [
        ("POST", "/schedule", TASK),
        ("POST", "/jobs", JOB),
        ("POST", "/api/schedules", CRON),
        ("POST", "/api/schedules", RULE),
    ],
)
async def test_no_body_breaks_anything(api: httpx.AsyncClient, method: str, path: str, good: dict[str, Any]) -> None:
    made = (await api.request(method, path, json=good)).json()
    made_id = made["data"] if path == "/schedule" else made["job"]["id"] if path == "/jobs" else made["id"]
    change = ("PATCH", f"{path}/{made_id}") if path == "/schedule" else ("PUT", f"{path}/{made_id}")
    bodies: list[bytes] = []

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        changes=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4), whole=st.none() | st.binary(max_size=30)
    )
    def collect(changes: dict[str, Any], whole: bytes | None) -> None:
        bodies.append(json.dumps({**good, **changes}).encode() if whole is None else whole)

    collect()
    for body in bodies:
        for verb, where in ((method, path), change):
            answer = await api.request(verb, where, content=body)
            assert answer.status_code < 500, (verb, where, body, answer.text)


async def test_every_line_of_the_document_is_served(api: httpx.AsyncClient) -> None:
    for line in LINES:
        path = line.path.replace("{id}", "x").replace("{key}", "x")
        answer = await api.request(line.method, path, json=line.example)
        assert answer.status_code in line.statuses, (line, answer.text)


NATIVE: dict[str, Any] = {
    "tags": ["kept"],
    "metadata": {"team": "a"},
    "target": {"timeout_seconds": 7, "signing": {"secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}},
}


@pytest.mark.parametrize(
    ("create", "path", "method", "change"),
    [
        (("/schedule", TASK), "/schedule/{id}", "PATCH", {"ttl": 90}),
        (("/jobs", JOB), "/jobs/{id}", "PUT", {**JOB, "interval_value": 2}),
        (("/api/schedules", CRON), "/api/schedules/{id}", "PUT", {"target_url": "https://hooks.example.com/new"}),
        (("/api/schedules", RULE), "/api/schedules/{id}", "PUT", {"name": "New"}),
    ],
)
async def test_a_change_drops_nothing_that_this_api_has_no_words_for(
    api: httpx.AsyncClient, create: tuple[str, dict[str, Any]], path: str, method: str, change: dict[str, Any]
) -> None:
    made = (await api.post(create[0], json=create[1])).json()
    schedule_id = made.get("id") or made.get("data") or made["job"]["id"]
    native = f"/api/v1/schedules/{schedule_id}"
    assert (await api.patch(f"{native}?force=next", json=NATIVE)).status_code == 200
    answer = await api.request(method, path.format(id=schedule_id), json=change)
    assert answer.status_code == 200, answer.text
    shown = (await api.get(native)).json()
    assert (shown["tags"], shown["metadata"]) == (["kept"], {"team": "a"})
    assert shown["target"]["signing"]["secrets"]


@pytest.mark.parametrize(
    "when", [{"cron": "0 9 * * *"}, {"rrule": "FREQ=DAILY"}, {"every": {"interval": "day", "value": 2}}]
)
async def test_another_cron_keeps_the_bounds_of_a_native_schedule(api: httpx.AsyncClient, when: dict[str, Any]) -> None:
    assert (await api.put("/api/v1/calendars/office", json={"dates": ["2027-12-24"]})).status_code == 201
    around = {
        "timezone": "America/New_York", "end": "2028-01-01T00:00:00.000Z", "exclude": ["office"], "max_runs": 9,
        "if_excluded": "next_business_day", "spread_seconds": 300, "dst": {"gap": "skip"},
    }  # fmt: skip
    target = {"type": "http", "url": "https://hooks.example.com/n"}
    body = {"id": "n", "event": "e", "when": when | around, "target": target}
    assert (await api.post("/api/v1/schedules", json=body)).status_code == 201
    answer = await api.put("/api/schedules/n", json={"cron_expression": "0 10 * * *"})
    assert answer.status_code == 200, answer.text
    assert (await api.get("/api/v1/schedules/n")).json()["when"] == {"cron": "0 10 * * *", **around}
    answer = await api.put("/api/schedules/n", json={"timezone": "Europe/Berlin"})
    assert answer.status_code == 200, answer.text


async def test_another_rrule_keeps_what_stands_around_it(api: httpx.AsyncClient) -> None:
    schedule_id = (await api.post("/api/schedules", json=RULE)).json()["id"]
    native = f"/api/v1/schedules/{schedule_id}"
    when = {"timezone": "Asia/Tokyo", "max_runs": 3}
    assert (await api.patch(f"{native}?force=next", json={"when": when})).status_code == 200
    assert (await api.put(f"/api/schedules/{schedule_id}", json={"rrule": "FREQ=WEEKLY"})).status_code == 200
    assert (await api.get(native)).json()["when"] == {"rrule": "FREQ=WEEKLY", **when}

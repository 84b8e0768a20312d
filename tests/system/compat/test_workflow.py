"""Workflow Scheduler: every request of its document and of wire.md 4, and what its targets receive."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.eventually import eventually
from tests.system.dev.sink import Sink

EXAMPLE = {
    "name": "Daily Report Generator",
    "description": "Generate and email daily analytics report",
    "cron_expression": "0 9 * * 1-5",
    "timezone": "America/New_York",
    "target_type": "webhook",
    "target_url": "http://localhost:5678/webhook/daily-report",
    "target_payload": {"report_type": "daily_sales", "recipients": ["team@company.com"], "format": "pdf"},
    "overlap_policy": "skip",
    "max_retries": 3,
    "retry_strategy": "exponential",
    "timeout_seconds": 300,
    "catch_up_missed": True,
    "tags": ["reporting", "daily", "critical"],
}
UNKNOWN = "11111111-2222-4333-8444-555555555555"
UUID_FORM = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NOT_FOUND = {"error": "Schedule not found"}


async def created(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post("/api/schedules", json={**EXAMPLE, **fields})
    assert answer.status_code == 201, answer.text
    schedule: dict[str, Any] = answer.json()
    return schedule


async def get(api: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await api.get(f"/api/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_example(api: httpx.AsyncClient) -> None:
    schedule = await created(api)
    assert {name: schedule[name] for name in EXAMPLE} == EXAMPLE
    assert re.fullmatch(UUID_FORM, schedule["id"])
    defaults = {"target_method": "POST", "status": "active", "enabled": True, "priority": 5, "consecutive_failures": 0}
    assert {name: schedule[name] for name in defaults} == defaults
    assert schedule["next_run"] == schedule["next_execution_at"]
    assert schedule["last_run"] is None
    local = datetime.fromisoformat(schedule["next_run"]).astimezone(ZoneInfo("America/New_York"))
    assert (local.hour, local.minute, local.weekday() < 5) == (9, 0, True)
    assert await get(api, f"schedules/{schedule['id']}") == schedule
    assert schedule in await get(api, "schedules")
    answer = await api.put(f"/api/schedules/{schedule['id']}", json={"cron_expression": "0 */2 * * *"})
    assert answer.status_code == 200
    assert answer.json()["cron_expression"] == "0 */2 * * *"
    assert {**answer.json(), "cron_expression": ""}["name"] == EXAMPLE["name"]
    assert answer.json()["target_payload"] == EXAMPLE["target_payload"]
    answer = await api.delete(f"/api/schedules/{schedule['id']}")
    assert (answer.status_code, answer.json()) == (200, {"result": "success"})
    assert (await api.get(f"/api/schedules/{schedule['id']}")).json() == NOT_FOUND


async def test_the_least_that_is_taken(api: httpx.AsyncClient) -> None:
    answer = await api.post(
        "/api/schedules", json={"cron_expression": "@hourly", "target_url": "https://api.example.com/sync"}
    )
    assert answer.status_code == 201
    least = answer.json()
    shown = {
        "timezone": "UTC",
        "max_retries": 0,
        "overlap_policy": "skip",
        "catch_up_missed": False,
        "timeout_seconds": 0,
    }
    assert {name: least[name] for name in shown} == shown
    assert not {"description", "tags", "owner", "team", "target_headers", "target_payload"} & set(least)


async def test_an_id_may_be_given_and_used_again_after_a_delete(api: httpx.AsyncClient) -> None:
    given = "0a0b0c0d-1111-4222-8333-444455556666"
    assert (await created(api, id=given))["id"] == given
    assert (await api.post("/api/schedules", json={**EXAMPLE, "id": given, "name": "other"})).status_code == 409
    assert (await api.delete(f"/api/schedules/{given}")).status_code == 200
    assert (await created(api, id=given, name="again"))["name"] == "again"
    await api.delete(f"/api/schedules/{given}")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "Invalid request payload"),
        (b"[]", "Invalid request payload"),
        (b'{"cron_expression":5}', "Invalid request payload"),
        (b'{"cron_expression":"0 9 * * *","tags":"x","target_url":"https://example.com/"}', "Invalid request payload"),
        (b"{}", "Invalid cron expression"),
        (b'{"cron_expression":"61 * * * *","target_url":"https://example.com/"}', "Invalid cron expression"),
        (
            b'{"cron_expression":"0 9 * * *","target_type":"pigeon","target_url":"https://example.com/"}',
            "unsupported target type: pigeon",
        ),
    ],
)
async def test_what_create_refuses(api: httpx.AsyncClient, body: bytes, text: str) -> None:
    answer = await api.post("/api/schedules", content=body)
    assert (answer.status_code, answer.json()) == (400, {"error": text})


@pytest.mark.parametrize(
    "fields",
    [
        {"timezone": "Mars/Base"}, {"target_url": "nowhere"}, {"target_url": ""}, {"overlap_policy": "x"},
        {"retry_strategy": "x"}, {"status": "x"}, {"max_retries": -1}, {"priority": 11}, {"target_type": "n8n_workflow"},
    ],
)  # fmt: skip
async def test_what_else_it_refuses(api: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    answer = await api.post("/api/schedules", json={**EXAMPLE, **fields})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


async def test_unknown_ids(api: httpx.AsyncClient) -> None:
    for schedule_id in (UNKNOWN, "x"):
        calls = [
            ("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/enable"), ("POST", "/disable"), ("POST", "/trigger"),
            ("GET", "/next-runs"),
        ]  # fmt: skip
        for method, path in calls:
            answer = await api.request(method, f"/api/schedules/{schedule_id}{path}", json={"name": "x"})
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND), path
        assert await get(api, f"schedules/{schedule_id}/executions") == []
        metrics = await get(api, f"schedules/{schedule_id}/metrics")
        assert (metrics["total_executions"], metrics["success_rate"], metrics["health_score"]) == (0, 0, 100)
        for method, path in (("GET", ""), ("POST", "/retry")):
            answer = await api.request(method, f"/api/executions/{schedule_id}{path}")
            assert (answer.status_code, answer.json()) == (404, {"error": "Execution not found"})
    answer = await api.patch("/api/schedules")
    assert (answer.status_code, answer.text) == (405, "")
    answer = await api.get("/api/nothing")
    assert (answer.status_code, answer.text) == (404, "404 page not found")


async def test_switches(api: httpx.AsyncClient) -> None:
    schedule = await created(api, catch_up_missed=False)
    path = f"schedules/{schedule['id']}"
    answer = await api.post(f"/api/{path}/disable")
    assert answer.json() == {"enabled": False, "result": "success"}
    off = await get(api, path)
    assert (off["enabled"], off["next_run"]) == (False, None)
    assert schedule["id"] in [each["id"] for each in await get(api, "schedules", enabled="false")]
    assert schedule["id"] not in [each["id"] for each in await get(api, "schedules", enabled="true")]
    answer = await api.post(f"/api/{path}/enable")
    assert answer.json() == {"enabled": True, "result": "success"}
    assert (await get(api, path))["next_run"] == schedule["next_run"]
    assert (await created(api, enabled=False))["enabled"] is False
    answer = await api.put(f"/api/{path}", json={"enabled": False})
    assert answer.json()["enabled"] is False


async def test_lists_are_filtered_as_the_command_line_asks(api: httpx.AsyncClient) -> None:
    schedule = await created(api, tags=["only-here"])
    assert [each["id"] for each in await get(api, "schedules", enabled="true", tag="only-here")] == [schedule["id"]]
    assert await get(api, "schedules", tag="only-here", status="archived") == []


async def test_next_runs_are_local(api: httpx.AsyncClient) -> None:
    schedule = await created(api)
    answer = await get(api, f"schedules/{schedule['id']}/next-runs")
    assert answer["schedule_id"] == schedule["id"]
    assert len(answer["next_runs"]) == 5
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT09:00:00-0[45]:00", each) for each in answer["next_runs"])
    assert len((await get(api, f"schedules/{schedule['id']}/next-runs", count=10))["next_runs"]) == 10


async def settled(api: httpx.AsyncClient, execution: str) -> dict[str, Any]:
    async def over() -> dict[str, Any] | None:
        found: dict[str, Any] = await get(api, f"executions/{execution}")
        return found if found["status"] not in ("pending", "running") and "duration_ms" in found else None

    return await eventually(over, 20)


async def test_a_trigger_its_execution_and_metrics(api: httpx.AsyncClient, sink: Sink) -> None:
    headers = {"X-API-Key": "your-api-key"}
    schedule = await created(api, target_url=sink.url, target_headers=headers)
    answer = await api.post(f"/api/schedules/{schedule['id']}/trigger", headers={"X-User": "ada"})
    assert answer.json()["message"] == "Schedule triggered successfully"
    execution = answer.json()["execution_id"]
    received = (await sink.count(1))[0]
    assert received.json == EXAMPLE["target_payload"]
    assert received.headers["x-api-key"] == "your-api-key"
    assert received.headers["content-type"] == "application/json"
    found = await settled(api, execution)
    assert found["status"] == "success"
    assert (found["response_code"], found["attempt_count"], found["is_manual_trigger"]) == (200, 1, True)
    assert found["triggered_by"] == "ada"
    assert {"id", "schedule_id", "scheduled_time", "start_time", "end_time", "duration_ms", "execution_time_ms"} <= set(
        found
    )
    answer = await api.post(f"/api/executions/{execution}/retry")
    assert answer.json()["result"] == "success"
    again = await settled(api, answer.json()["execution_id"])
    assert again["triggered_by"] == "retry_handler"
    listed = await get(api, f"schedules/{schedule['id']}/executions", limit=20)
    assert {each["id"] for each in listed} == {execution, again["id"]}
    assert len(await get(api, f"schedules/{schedule['id']}/executions", limit=1)) == 1
    assert next(each["triggered_by"] for each in listed if each["id"] == execution) == "ada"
    everywhere = await get(api, "executions")
    mine = next(each for each in everywhere if each["id"] == execution)
    assert mine["schedule_name"] == EXAMPLE["name"]
    metrics = await get(api, f"schedules/{schedule['id']}/metrics")
    assert (metrics["success_count"], metrics["failure_count"], metrics["success_rate"]) == (2, 0, 100.0)
    names = [f"{each}_duration_ms" for each in ("min", "avg", "max", "p95", "p99")]
    assert all(metrics[name] >= 0 for name in names)
    assert metrics["health_score"] == 100
    assert "last_success_at" in metrics
    stats = await get(api, "dashboard/stats")
    assert set(stats) == {
        "total_schedules", "active_schedules", "total_executions", "successful_executions", "failed_executions",
        "avg_success_rate",
    }  # fmt: skip
    assert stats["successful_executions"] >= 2


async def test_statuses_below_400_are_success(api: httpx.AsyncClient) -> None:
    async with Sink(302) as moving:
        schedule = await created(api, target_url=moving.url)
        answer = await api.post(f"/api/schedules/{schedule['id']}/trigger")
        assert (await settled(api, answer.json()["execution_id"]))["status"] == "success"


async def test_failures_are_retried_and_counted(api: httpx.AsyncClient) -> None:
    async with Sink(410) as failing:
        schedule = await created(api, target_url=failing.url, max_retries=1)
        answer = await api.post(f"/api/schedules/{schedule['id']}/trigger")
        received = await failing.count(2)
        assert 0.9 <= (received[1].at_ms - received[0].at_ms) / 1000 <= 3.0
        found = await settled(api, answer.json()["execution_id"])
        assert (found["status"], found["attempt_count"], found["error_message"]) == ("failed", 2, "HTTP error: 410")
        shown = await get(api, f"schedules/{schedule['id']}")
        assert (shown["consecutive_failures"], shown["enabled"]) == (1, True)
        metrics = await get(api, f"schedules/{schedule['id']}/metrics")
        assert (metrics["failure_count"], metrics["consecutive_failures"], metrics["health_score"]) == (1, 1, 0)


async def test_target_types(api: httpx.AsyncClient) -> None:
    n8n = await created(api, target_type="n8n_workflow", target_workflow_id="wf-1", target_url="")
    native = (await api.get(f"/api/v1/schedules/{n8n['id']}")).json()
    assert native["target"]["url"] == "http://localhost:5678/webhook/wf-1"
    scenario = await created(api, target_type="scenario", target_workflow_id="9000", target_url="")
    native = (await api.get(f"/api/v1/schedules/{scenario['id']}")).json()
    assert native["target"]["url"] == "http://localhost:9000/api/execute"
    assert (await created(api, target_type="http"))["target_type"] == "http"


@pytest.mark.parametrize(
    ("expression", "valid"),
    [
        ("0 9 * * *", True), ("*/5 * * * *", True), ("0 9-17 * * 1-5", True), ("@hourly", True), ("@daily", True),
        ("@weekly", True), ("@monthly", True), ("61 * * * *", False), ("x", False), ("* * * *", False),
    ],
)  # fmt: skip
async def test_validate(api: httpx.AsyncClient, expression: str, valid: bool) -> None:
    answer = await get(api, "cron/validate", expression=expression)
    assert (answer["expression"], answer["valid"]) == (expression, valid)
    assert len(answer["next_runs"]) == (3 if valid else 0)
    assert ("error" in answer) is not valid
    for text in answer["next_runs"]:
        assert datetime.fromisoformat(text) > datetime.now(UTC)


async def test_small_questions(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/cron/validate")
    assert (answer.status_code, answer.json()) == (400, {"error": "Missing expression parameter"})
    presets = await get(api, "cron/presets")
    assert len(presets) >= 30
    assert list(presets[0]) == ["id", "name", "description", "expression", "category", "is_system", "usage_count"]
    assert presets == sorted(presets, key=lambda each: (each["category"], each["name"]))
    zones = await get(api, "timezones")
    assert zones[1] == {"label": "Eastern Time", "value": "America/New_York"}
    assert len(zones) == 10
    assert (await get(api, "system/db-status"))["status"] == "healthy"
    assert (await get(api, "system/redis-status"))["status"] == "healthy"


async def test_schedules_made_elsewhere_answer_as_workflow_ones(api: httpx.AsyncClient) -> None:
    made = await api.post(
        "/api/v1/schedules",
        json={
            "event": "native.made", "name": "Native", "when": {"cron": "0 4 * * *", "timezone": "Europe/Paris"},
            "target": {"type": "http", "url": "https://example.com/x", "headers": {"X-Api-Key": "secret"}},
        },
    )  # fmt: skip
    schedule_id = made.json()["id"]
    shown = await get(api, f"schedules/{schedule_id}")
    expected = {"name": "Native", "cron_expression": "0 4 * * *", "timezone": "Europe/Paris", "enabled": True}
    assert {name: shown[name] for name in expected} == expected
    assert shown["target_headers"] == {"X-Api-Key": "***"}
    answer = await api.put(f"/api/schedules/{schedule_id}", json={"cron_expression": "0 5 * * *"})
    assert answer.json()["cron_expression"] == "0 5 * * *"
    native = (await api.get(f"/api/v1/schedules/{schedule_id}")).json()
    assert (native["event"], native["when"]["cron"]) == ("native.made", "0 5 * * *")
    assert (await api.delete(f"/api/schedules/{schedule_id}")).json() == {"result": "success"}

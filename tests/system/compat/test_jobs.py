"""scheduler-service: every request of its document and of wire.md 3, and what its targets receive."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.eventually import eventually
from tests.system.dev.sink import Sink

EXAMPLE = {
    "name": "Example Job", "description": "An example job that sends a notification", "type": "http",
    "target": "https://example.com/api/notify", "payload": {"message": "Hello, world!"},
    "schedule_type": "recurring", "interval": "hour", "interval_value": 1,
}  # fmt: skip
KEYS = [
    "id", "name", "description", "type", "target", "payload", "cron_expression", "schedule_type", "specific_time",
    "interval", "interval_value", "status", "created_at", "updated_at", "last_run", "next_run", "error_message",
]  # fmt: skip
UNKNOWN = "11111111-2222-4333-8444-555555555555"
INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def created(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post("/jobs", json={**EXAMPLE, **fields})
    assert answer.status_code == 201, answer.text
    assert answer.json()["message"] == "Job created successfully"
    job: dict[str, Any] = answer.json()["job"]
    return job


async def job_of(api: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api.get(f"/jobs/{job_id}")).json()
    return found


async def test_the_example(api: httpx.AsyncClient) -> None:
    job = await created(api)
    assert list(job) == KEYS
    assert {name: job[name] for name in EXAMPLE} == EXAMPLE
    assert job["status"] == "active"
    assert [job[name] for name in ("cron_expression", "specific_time", "last_run", "error_message")] == [None] * 4
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", job["id"])
    assert re.fullmatch(INSTANT, job["created_at"])
    assert job["next_run"].endswith(".000Z")
    assert await job_of(api, job["id"]) == job
    assert job in (await api.get("/jobs")).json()
    assert job in (await api.get("/jobs", params={"status": "active"})).json()
    assert (await api.get("/jobs", params={"status": "nonsense"})).json() == []
    answer = await api.put(f"/jobs/{job['id']}", json={**EXAMPLE, "name": "Other", "interval": "day"})
    assert answer.json()["message"] == "Job updated successfully"
    assert (answer.json()["job"]["name"], answer.json()["job"]["interval"]) == ("Other", "day")
    answer = await api.delete(f"/jobs/{job['id']}")
    assert (answer.status_code, answer.json()) == (200, {"message": "Job deleted successfully"})
    assert (await api.get(f"/jobs/{job['id']}")).json() == {"message": "Job not found"}


@pytest.mark.parametrize("interval", ["minute", "hour", "day", "week", "month", "year"])
async def test_every_interval_begins_one_interval_from_now(api: httpx.AsyncClient, interval: str) -> None:
    before = datetime.now(UTC)
    job = await created(api, interval=interval, interval_value=2)
    ahead = datetime.fromisoformat(job["next_run"]) - before
    days = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7, "month": 30.4, "year": 365.25}[interval]
    assert 0.9 * 2 * days <= ahead.total_seconds() / 86400 <= 1.05 * 2 * days


async def test_cron_and_specific_time(api: httpx.AsyncClient) -> None:
    cron = await created(api, schedule_type="cron", cron_expression="0 * * * *")
    assert cron["cron_expression"] == "0 * * * *"
    assert cron["next_run"].endswith(":00:00.000Z")
    six = await created(api, schedule_type="cron", cron_expression="30 0 * * * *")
    assert six["next_run"].endswith(":00:30.000Z")
    once = await created(api, schedule_type="specific_time", specific_time="2099-12-31T23:59:59Z")
    assert once["next_run"] == once["specific_time"] == "2099-12-31T23:59:59.000Z"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schedule_type": "cron"}, "Invalid schedule configuration"),
        ({"schedule_type": "cron", "cron_expression": "61 * * * *"}, "Invalid schedule configuration"),
        ({"interval": ...}, "Invalid schedule configuration"),
        ({"interval_value": ...}, "Invalid schedule configuration"),
        ({"schedule_type": "specific_time"}, "Specific time must be in the future"),
        (
            {"schedule_type": "specific_time", "specific_time": "2023-12-31T23:59:59Z"},
            "Specific time must be in the future",
        ),
    ],
)
async def test_refused_and_not_stored(api: httpx.AsyncClient, fields: dict[str, Any], message: str) -> None:
    body = {name: value for name, value in {**EXAMPLE, "name": "refused", **fields}.items() if value is not ...}
    answer = await api.post("/jobs", json=body)
    assert (answer.status_code, answer.json()) == (400, {"message": message})
    assert "refused" not in [job["name"] for job in (await api.get("/jobs")).json()]


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("name", ..., "Required"),
        ("name", "", "Name is required"),
        ("name", None, "Expected string, received null"),
        ("target", ..., "Required"),
        ("target", "nowhere", "Target must be a valid URL"),
        ("type", "ftp", "Invalid enum value. Expected 'http', received 'ftp'"),
        ("payload", [1], "Expected object, received array"),
        ("payload", None, "Expected object, received null"),
        ("description", 5, "Expected string, received number"),
        (
            "schedule_type",
            "often",
            "Invalid enum value. Expected 'cron' | 'specific_time' | 'recurring', received 'often'",
        ),
        ("specific_time", "2099-12-31T23:59:59+01:00", "Invalid datetime"),
        ("interval_value", 0, "Number must be greater than 0"),
        ("interval_value", 1.5, "Expected integer, received float"),
        ("status", "gone", "Invalid enum value. Expected 'active' | 'inactive' | 'failed', received 'gone'"),
    ],
)
async def test_validation_is_a_tree(api: httpx.AsyncClient, field: str, value: Any, text: str) -> None:
    body = {name: each for name, each in {**EXAMPLE, field: value}.items() if each is not ...}
    tree = {"_errors": [], field: {"_errors": [text]}}
    for answer in (await api.post("/jobs", json=body), await api.post("/jobs", json=body)):
        assert (answer.status_code, answer.json()) == (400, {"message": "Invalid job data", "errors": tree})


async def test_what_is_not_json(api: httpx.AsyncClient) -> None:
    answer = await api.post("/jobs", content=b"{")
    assert answer.status_code == 400
    assert answer.json()["message"] == "Invalid job data"


@pytest.mark.parametrize("job_id", [UNKNOWN, "x"])
async def test_unknown_jobs(api: httpx.AsyncClient, job_id: str) -> None:
    calls = [
        ("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/run"), ("PATCH", "/status"),
    ]  # fmt: skip
    for method, path in calls:
        answer = await api.request(method, f"/jobs/{job_id}{path}", json={"status": "active"})
        assert (answer.status_code, answer.json()) == (404, {"message": "Job not found"}), method
    for path in ("reactivate", "complete"):
        assert (await api.post(f"/dlq/{job_id}/{path}")).status_code == 404


async def test_statuses_and_the_dead_letter_list(api: httpx.AsyncClient) -> None:
    job = await created(api, status="inactive")
    assert (job["status"], job["next_run"]) == ("inactive", None)
    assert job["id"] in [each["id"] for each in (await api.get("/dlq")).json()]
    answer = await api.post(f"/dlq/{job['id']}/reactivate")
    assert answer.json()["message"] == "Job reactivated successfully"
    assert answer.json()["job"]["status"] == "active"
    assert datetime.fromisoformat(answer.json()["job"]["next_run"]) > datetime.now(UTC)
    for path in ("reactivate", "complete"):
        answer = await api.post(f"/dlq/{job['id']}/{path}")
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("Only inactive jobs can be ")
    for status in ("failed", "inactive", "active"):
        answer = await api.patch(f"/jobs/{job['id']}/status", json={"status": status})
        assert answer.json()["message"] == f"Job status updated to {status} successfully"
        assert answer.json()["job"]["status"] == status
        assert job["id"] in [each["id"] for each in (await api.get("/jobs", params={"status": status})).json()]
    answer = await api.patch(f"/jobs/{UNKNOWN}/status", json={"status": "gone"})
    assert (answer.status_code, answer.json()) == (400, {"message": "Invalid status value"})
    await api.patch(f"/jobs/{job['id']}/status", json={"status": "inactive"})
    answer = await api.post(f"/dlq/{job['id']}/complete")
    assert answer.json()["message"] == "Job marked as completed successfully"
    assert (await api.get(f"/jobs/{job['id']}")).status_code == 404


async def test_a_target_receives_the_payload(api: httpx.AsyncClient, sink: Sink) -> None:
    payload = {"a": 1, "__proto__": {"x": 1}, "list": [{"constructor": 1, "b": 2}]}
    job = await created(api, target=sink.url, payload=payload)
    answer = await api.post(f"/jobs/{job['id']}/run")
    assert (answer.status_code, answer.json()) == (200, {"message": "Job triggered successfully"})
    received = (await sink.count(1))[0]
    assert received.json == {"a": 1, "list": [{"b": 2}]}
    assert received.headers["user-agent"] == "PingPay-Scheduler/1.0"
    assert received.headers["content-type"] == "application/json"
    await eventually(lambda: _has(api, job["id"], "last_run"), 10)


async def _has(api: httpx.AsyncClient, job_id: str, field: str) -> bool:
    return (await job_of(api, job_id))[field] is not None


async def test_a_specific_time_runs_once_can_be_put_again_and_deleted(api: httpx.AsyncClient, sink: Sink) -> None:
    fields = {"schedule_type": "specific_time", "target": sink.url, "payload": {}}
    job = await created(api, specific_time=soon(2), **fields)
    await sink.count(1)
    await eventually(lambda: _has(api, job["id"], "last_run"), 10)
    ran = await job_of(api, job["id"])
    assert (ran["status"], ran["next_run"], ran["error_message"]) == ("active", None, None)
    again = await api.put(f"/jobs/{job['id']}", json={**EXAMPLE, **fields, "specific_time": soon(2)})
    assert again.status_code == 200, again.text
    await sink.count(2)
    await eventually(lambda: _is_over(api, job["id"]), 10)
    assert (await api.delete(f"/jobs/{job['id']}")).status_code == 200
    assert (await api.get(f"/jobs/{job['id']}")).status_code == 404
    assert job["id"] not in [each["id"] for each in (await api.get("/jobs")).json()]


async def _is_over(api: httpx.AsyncClient, job_id: str) -> bool:
    return (await job_of(api, job_id))["next_run"] is None


async def test_a_final_failure_marks_the_job(api: httpx.AsyncClient) -> None:
    async with Sink(404) as refusing:
        job = await created(api, target=refusing.url)
        await api.post(f"/jobs/{job['id']}/run")
        await eventually(lambda: _has(api, job["id"], "error_message"), 10)
        failed = await job_of(api, job["id"])
        assert failed["status"] == "failed"
        assert "404" in failed["error_message"]
        assert len(refusing.received) == 1


async def test_a_temporary_failure_keeps_it_active(api: httpx.AsyncClient) -> None:
    async with Sink(503) as failing:
        job = await created(api, target=failing.url)
        await api.post(f"/jobs/{job['id']}/run")
        await failing.count(1)

        async def told() -> bool:
            shown = await job_of(api, job["id"])
            assert shown["status"] == "active"
            text = r"Temporary failure: .*503.*\. The job will be retried\."
            return re.fullmatch(text, shown["error_message"] or "") is not None

        await eventually(told, 10)
        await failing.count(2)  # it was


async def test_unknown_paths_and_health(api: httpx.AsyncClient) -> None:
    answer = await api.request("PATCH", "/jobs")
    assert (answer.status_code, answer.text) == (404, "404 Not Found")
    health = (await api.get("/health")).json()
    assert {"status", "timestamp", "service", "time", "version"} <= set(health)
    assert re.fullmatch(INSTANT, health["timestamp"])

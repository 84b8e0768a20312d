"""RRule Scheduler: every request of its document and of wire.md 2, its rules, and what its callbacks receive."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import yaml

from squirrel.model.instants import format_instant
from squirrel.model.when import When
from squirrel.recurrence import compile_rule, upcoming
from tests.eventually import eventually
from tests.system.dev.sink import Sink

EXAMPLE: dict[str, Any] = {
    "name": "Daily Backup", "rrule": "FREQ=DAILY;INTERVAL=1", "callback_url": "https://example.com/backup",
    "method": "POST", "headers": {"Authorization": "Bearer abc123", "Content-Type": "application/json"},
    "body": '{"task":"backup"}',
}  # fmt: skip
UPDATE: dict[str, Any] = {
    "name": "Updated Daily Backup", "rrule": "FREQ=DAILY;INTERVAL=2",
    "callback_url": "https://example.com/new-backup", "method": "PUT",
    "headers": {"Authorization": "Bearer updated_token", "Content-Type": "application/json"},
    "body": '{"task":"updated-backup"}',
}  # fmt: skip
# The document's rules and the first occurrences it states.
RULES = [
    (
        "DTSTART:20250101T083000Z\nRRULE:FREQ=DAILY;INTERVAL=1",
        ["2025-01-01T08:30", "2025-01-02T08:30", "2025-01-03T08:30"],
    ),
    (
        "DTSTART:20250101T151500Z\nRRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,WE,FR",
        ["2025-01-01T15:15", "2025-01-03T15:15", "2025-01-06T15:15"],
    ),
    (
        "DTSTART:20250101T100000Z\nRRULE:FREQ=MONTHLY;INTERVAL=1;BYMONTHDAY=1,15",
        ["2025-01-01T10:00", "2025-01-15T10:00", "2025-02-01T10:00", "2025-02-15T10:00"],
    ),
    (
        "DTSTART:20250101T070000Z\nRRULE:FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25",
        ["2025-12-25T07:00", "2026-12-25T07:00"],
    ),
    (
        "DTSTART:20250101T184500Z\nRRULE:FREQ=DAILY;INTERVAL=1;COUNT=5",
        [f"2025-01-0{day}T18:45" for day in range(1, 6)],
    ),
    (
        "DTSTART:20250101T170000Z\nRRULE:FREQ=DAILY;UNTIL=20250110T170000Z",
        [f"2025-01-{day:02d}T17:00" for day in range(1, 11)],
    ),
    (
        "DTSTART:20250101T020000Z\nRRULE:FREQ=HOURLY;INTERVAL=3",
        ["2025-01-01T02:00", "2025-01-01T05:00", "2025-01-01T08:00", "2025-01-01T11:00"],
    ),
    (
        "DTSTART:20250101T233000Z\nRRULE:FREQ=MONTHLY;BYDAY=MO;BYSETPOS=2",
        ["2025-01-13T23:30", "2025-02-10T23:30", "2025-03-10T23:30"],
    ),
]
UNKNOWN = "64b76c5986b6c9f24f1c0952"
NOT_FOUND = {"error": {"code": "not_found", "message": "Schedule not found"}}


async def created(api: httpx.AsyncClient, **fields: Any) -> str:
    body = {name: value for name, value in {**EXAMPLE, **fields}.items() if value is not ...}
    answer = await api.post("/api/schedules", json=body)
    assert answer.status_code == 201, answer.text
    assert list(answer.json()) == ["id"]
    return str(answer.json()["id"])


async def test_the_examples(api: httpx.AsyncClient) -> None:
    schedule_id = await created(api)
    assert re.fullmatch("[0-9a-f]{24}", schedule_id)
    shown = (await api.get(f"/api/schedules/{schedule_id}")).json()
    hidden = EXAMPLE | {"headers": EXAMPLE["headers"] | {"Authorization": "***"}}  # a secret is never shown again
    assert {name: shown[name] for name in EXAMPLE} == hidden
    assert set(shown) == {*EXAMPLE, "id", "created_at"}
    native = (await api.get(f"/api/v1/schedules/{schedule_id}")).json()
    assert native["target"]["headers"]["Authorization"] == "***"
    answer = await api.put(f"/api/schedules/{schedule_id}", json=UPDATE)
    assert (answer.status_code, answer.json()) == (200, {"message": "Schedule updated successfully."})
    shown = (await api.get(f"/api/schedules/{schedule_id}")).json()
    hidden = UPDATE | {"headers": UPDATE["headers"] | {"Authorization": "***"}}
    assert {name: shown[name] for name in UPDATE} == hidden
    await api.put(f"/api/schedules/{schedule_id}", json={"name": "Renamed"})
    assert (await api.get(f"/api/schedules/{schedule_id}")).json() == {**shown, "name": "Renamed"}
    answer = await api.delete(f"/api/schedules/{schedule_id}")
    assert (answer.status_code, answer.json()) == (200, {"message": "Schedule and associated events deleted."})
    assert (await api.get(f"/api/schedules/{schedule_id}")).json() == NOT_FOUND


async def test_what_is_empty_is_left_out(api: httpx.AsyncClient) -> None:
    empty = {"method": ..., "headers": ..., "body": ..., "created_at": "2020-01-02T03:04:05Z", "id": "ignored"}
    shown = (await api.get(f"/api/schedules/{await created(api, **empty)}")).json()
    assert set(shown) == {"id", "name", "rrule", "callback_url", "created_at"}
    assert shown["created_at"] == "2020-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "Schedule name cannot be empty"),
        ({"name": ..., "rrule": "", "callback_url": "x"}, "Schedule name cannot be empty"),
        ({"rrule": ""}, "RRULE cannot be empty"),
        ({"rrule": "FREQ=NEVER", "callback_url": "x"}, "Invalid RRULE format"),
        ({"rrule": "DTSTART:20260101T083000Z"}, "Invalid RRULE format"),
        ({"callback_url": "nowhere"}, "Invalid callback URL format"),
        ({"callback_url": ...}, "Invalid callback URL format"),
    ],
)
async def test_validation(api: httpx.AsyncClient, fields: dict[str, Any], message: str) -> None:
    body = {name: value for name, value in {**EXAMPLE, **fields}.items() if value is not ...}
    expected = {"error": {"code": "validation_failed", "message": message}}
    answer = await api.post("/api/schedules", json=body)
    assert (answer.status_code, answer.json()) == (422, expected)
    answer = await api.put(
        f"/api/schedules/{await created(api)}", json={k: v or "" for k, v in fields.items() if v is not ...}
    )
    assert answer.status_code in (200, 422)  # what is absent or empty keeps what was there or is refused alike


@pytest.mark.parametrize(
    "fields", [{"name": 5}, {"headers": {"A": 1}}, {"headers": []}, {"body": {}}, {"created_at": "x"}]
)
async def test_wrong_types(api: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    answer = await api.post("/api/schedules", json={**EXAMPLE, **fields})
    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid request body"})


async def test_unknown_and_malformed_ids(api: httpx.AsyncClient) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = await api.request(method, f"/api/schedules/{UNKNOWN}", json={} if method == "PUT" else None)
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    answer = await api.put("/api/schedules/short", json=UPDATE)
    invalid = {"error": {"code": "invalid_request", "message": "Invalid schedule ID format"}}
    assert (answer.status_code, answer.json()) == (400, invalid)
    answer = await api.put(f"/api/schedules/{UNKNOWN}", content=b"{")
    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid JSON body for updates"})
    for kind in ("pending", "history"):
        for schedule_id in (UNKNOWN, "x"):
            answer = await api.get(f"/api/schedules/{schedule_id}/events/{kind}", params={"limit": "-1", "page": "x"})
            assert (answer.status_code, answer.json()) == (200, {"events": [], "limit": 10, "page": 1})


@pytest.mark.parametrize(("rule", "occurrences"), RULES)
async def test_the_rules_of_the_document(api: httpx.AsyncClient, rule: str, occurrences: list[str]) -> None:
    schedule_id = await created(api, rrule=rule)
    assert (await api.get(f"/api/schedules/{schedule_id}")).json()["rrule"] == rule
    from_ms = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1000)
    slots = upcoming(compile_rule(When(rrule=rule), created_ms=from_ms), from_ms, len(occurrences))
    assert [format_instant(slot_ms)[:16] for slot_ms in slots] == occurrences


async def test_pending_events_lie_in_the_window(api: httpx.AsyncClient) -> None:
    start = datetime.now(UTC) + timedelta(minutes=1)
    rule = f"DTSTART:{start:%Y%m%dT%H%M%SZ}\nRRULE:FREQ=MINUTELY;INTERVAL=2"
    schedule_id = await created(api, rrule=rule)
    page = (await api.get(f"/api/schedules/{schedule_id}/events/pending", params={"limit": 2, "page": 2})).json()
    assert (page["limit"], page["page"], len(page["events"])) == (2, 2, 2)
    whole = (await api.get(f"/api/schedules/{schedule_id}/events/pending")).json()["events"]
    assert whole[2:4] == page["events"]
    expected = [start + timedelta(minutes=2 * index) for index in range(5)]  # the next 10 minutes
    found = [datetime.fromisoformat(event["run_time"]) for event in reversed(whole)]
    assert [each.strftime("%H:%M:%S") for each in found] == [each.strftime("%H:%M:%S") for each in expected]
    assert set(whole[0]) == {"_id", "created_at", "run_time", "schedule_id", "status"}
    assert [each["status"] for each in whole[0]["status"]] == ["ready_queue"]
    assert whole[0]["status"][0]["message"] == "Event pre-queued for ready queue"
    await api.delete(f"/api/schedules/{schedule_id}")
    assert (await api.get(f"/api/schedules/{schedule_id}/events/pending")).json()["events"] == []


async def history_of(api: httpx.AsyncClient, schedule_id: str, **query: int) -> list[dict[str, Any]]:
    answer = await api.get(f"/api/schedules/{schedule_id}/events/history", params=query)
    assert answer.status_code == 200
    events: list[dict[str, Any]] = answer.json()["events"]
    return events


async def test_callbacks_are_sent_as_stored_and_archived(api: httpx.AsyncClient, sink: Sink) -> None:
    rule = "FREQ=SECONDLY;INTERVAL=1;COUNT=3"
    headers = {"Authorization": "Bearer abc123", "X-A": "1"}
    schedule_id = await created(api, rrule=rule, callback_url=sink.url, method="PUT", headers=headers, body="as it is")
    received = (await sink.count(3))[0]
    assert (received.body, received.headers["authorization"], received.headers["x-a"]) == (
        b"as it is",
        "Bearer abc123",
        "1",
    )
    await eventually(lambda: _archived(api, schedule_id, 3), 15)
    events = await history_of(api, schedule_id)
    assert [event["run_time"] for event in events] == sorted((event["run_time"] for event in events), reverse=True)
    assert [each["status"] for each in events[0]["status"]] == ["ready_queue", "worker_queue", "completed"]
    times = [each["time"] for each in events[0]["status"]]
    assert times == sorted(times)
    assert events[0]["status"][-1]["message"] == "Event successfully processed"
    assert await history_of(api, schedule_id, limit=2, page=2) == events[2:]
    assert (await api.delete(f"/api/schedules/{schedule_id}")).status_code == 200, "although its rule is over"
    assert (await api.get(f"/api/schedules/{schedule_id}")).status_code == 404
    assert await history_of(api, schedule_id) == events, "history stays"


async def _archived(api: httpx.AsyncClient, schedule_id: str, count: int) -> bool:
    return len(await history_of(api, schedule_id)) == count


async def test_failures_are_retried_then_archived_as_errors(api: httpx.AsyncClient) -> None:
    async with Sink(404) as refusing:
        rule = "FREQ=SECONDLY;INTERVAL=1;COUNT=1"
        schedule_id = await created(api, rrule=rule, callback_url=refusing.url, method=..., headers=..., body=...)
        await refusing.count(3)  # the environment's RETRIES=2
        await eventually(lambda: _archived(api, schedule_id, 1), 15)
        last = (await history_of(api, schedule_id))[0]["status"][-1]
        assert last["status"] == "error"
        assert last["message"].startswith("Callback failed after max retries: ")
        assert refusing.received[0].body == b""


async def test_its_documents(api: httpx.AsyncClient) -> None:
    document = yaml.safe_load((await api.get("/docs/openapi.yml")).text)
    assert set(document["paths"]) == {
        "/api/schedules", "/api/schedules/{id}", "/api/schedules/{id}/events/pending", "/api/schedules/{id}/events/history",
    }  # fmt: skip
    for path in ("/swagger-ui", "/swagger-ui/"):
        page = await api.get(path)
        assert page.status_code == 200
        assert "<html" in page.text
        assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page.text), "nothing from another host"

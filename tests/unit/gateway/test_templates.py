"""Templates: kept, filled in, found again by their tag."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.unit.gateway.world import HOOK

PATH = "/api/v1/templates/reminder"
BODY: dict[str, Any] = {
    "schedule": {
        "event": "email.send.{{kind}}",
        "when": {"in_seconds": "{{delay}}"},
        "message": {"to": "{{ email }}", "text": "Hello {{email}}, {{delay}} s", "items": ["{{extra}}"]},
        "target": HOOK,
        "tags": ["mail"],
    },
    "parameters": [
        {"name": "kind", "default": "reminder"},
        {"name": "delay", "default": 60},
        {"name": "email", "description": "whom to write to"},
        {"name": "extra", "required": False},
    ],
}


@pytest.fixture
async def kept(api: httpx.AsyncClient) -> httpx.AsyncClient:
    answer = await api.put(PATH, json=BODY)
    assert answer.status_code == 201, answer.text
    return api


async def test_a_templates_life(kept: httpx.AsyncClient) -> None:
    made = (await kept.get(PATH)).json()
    assert made["schedule"] == BODY["schedule"]
    assert [each["required"] for each in made["parameters"]] == [False, False, True, False]
    assert (await kept.put(PATH, json=made)).status_code == 200
    assert [each["name"] for each in (await kept.get("/api/v1/templates")).json()["items"]] == ["reminder"]
    assert (await kept.delete(PATH)).status_code == 204
    assert (await kept.get(PATH)).status_code == 404


async def test_a_schedule_from_it(kept: httpx.AsyncClient) -> None:
    body = {"template": "reminder", "parameters": {"email": 'a"b@example.com', "extra": [1, {"x": 2}]}, "id": "mine"}
    answer = await kept.post("/api/v1/schedules", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["id"] == "mine"
    assert made["event"] == "email.send.reminder"
    expected = {"to": 'a"b@example.com', "text": 'Hello a"b@example.com, 60 s', "items": [[1, {"x": 2}]]}
    assert made["message"] == expected
    assert made["tags"] == ["mail", "template:reminder"]
    listed = await kept.get("/api/v1/schedules", params={"tag": "template:reminder"})
    assert [each["id"] for each in listed.json()["items"]] == ["mine"]
    counted = {"filter": {"template": "reminder"}, "action": "pause", "dry_run": True}
    assert (await kept.post("/api/v1/schedules:bulk", json=counted)).json()["operation"]["matched"] == 1


async def test_the_bodys_own_fields_win(kept: httpx.AsyncClient) -> None:
    body = {"template": "reminder", "parameters": {"email": "e"}, "message": {"n": 1}, "tags": [], "name": "own"}
    made = (await kept.post("/api/v1/schedules", json=body)).json()
    assert (made["message"], made["tags"], made["name"]) == ({"n": 1}, ["template:reminder"], "own")


async def test_batches_take_templates_too(kept: httpx.AsyncClient) -> None:
    batch = {"schedules": [{"template": "reminder", "parameters": {"email": "e"}}, {"template": "none"}]}
    results = (await kept.post("/api/v1/schedules:batch", json=batch)).json()["results"]
    assert [each["status"] for each in results] == [201, 422]


async def test_values_are_no_templates(kept: httpx.AsyncClient) -> None:
    made = await kept.post("/api/v1/schedules", json={"template": "reminder", "parameters": {"email": "{{kind}}"}})
    assert made.json()["message"]["to"] == "{{kind}}"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"template": "none"}, 422, "template"),
        ({"template": 5}, 422, "template"),
        ({"template": "reminder"}, 422, "parameters.email"),
        ({"template": "reminder", "parameters": []}, 422, "parameters"),
        ({"template": "reminder", "parameters": {"email": "e", "emial": 1}}, 422, "parameters.emial"),
        ({"template": "reminder", "parameters": {"email": {"a": 1}}}, 422, "parameters.email"),
        ({"template": "reminder", "parameters": {"email": "e", "delay": "soon"}}, 422, "when.in_seconds"),
        ({"template": "reminder", "parameters": {"email": "e" * 600_000}}, 413, "parameters.email"),
    ],
)
async def test_bad_creates_name_the_field(
    kept: httpx.AsyncClient, body: dict[str, Any], status: int, field: str
) -> None:
    answer = await kept.post("/api/v1/schedules", json=body)
    assert answer.status_code == status, answer.text
    assert field in [each["field"] for each in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schedule": None}, "schedule"),
        ({"schedule": {"event": "{{what}}"}}, "schedule.event"),
        ({"schedule": {"event": "a", "evnt": "b"}}, "schedule.evnt"),
        ({"parameters": {}}, "parameters"),
        ({"parameters": [{"name": "a b"}]}, "parameters[0].name"),
        ({"parameters": [{"name": "a"}, {"name": "a"}]}, "parameters[1].name"),
        ({"parameters": [{"name": "a", "requird": True}]}, "parameters[0].requird"),
        ({"parameters": [{"name": "a", "required": "yes"}]}, "parameters[0].required"),
        ({"param": []}, "param"),
    ],
)
async def test_bad_templates_name_the_field(api: httpx.AsyncClient, change: dict[str, Any], field: str) -> None:
    answer = await api.put(PATH, json=BODY | change)
    assert answer.status_code == 422, answer.text
    assert field in [each["field"] for each in answer.json()["errors"]]

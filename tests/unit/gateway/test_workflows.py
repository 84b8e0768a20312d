"""Workflows over REST: kept in versions, started, watched, and mended."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.unit.gateway.world import HOOK, World

PATH = "/api/v1/workflows/order"
STEPS = [
    {"id": "charge", "target": HOOK, "message": {"order": "{{ input.order }}"}, "retry": {"max_retries": 0}},
    {"id": "ship", "after": ["charge"], "target": HOOK, "delay_seconds": 3600},
]
YAML = """
description: what follows an order
steps:
  - id: charge
    target: {type: http, url: "https://hooks.example.com/hook"}
    message:
      at: 2027-01-01
  - {id: ship, after: [charge], target: "https://hooks.example.com/hook", if: "steps.charge.status == `200`"}
"""


@pytest.fixture
async def kept(api: httpx.AsyncClient) -> httpx.AsyncClient:
    made = await api.put(PATH, json={"steps": STEPS})
    assert (made.status_code, made.json()["version"]) == (201, 1), made.text
    return api


async def started(api: httpx.AsyncClient, world: World, **body: Any) -> dict[str, Any]:
    answer = await api.post(f"{PATH}:start", json={"input": {"order": 7}, **body})
    assert answer.status_code == 201, answer.text
    await world.emitted()
    return dict(answer.json())


async def test_versions(kept: httpx.AsyncClient) -> None:
    same = await kept.put(PATH, json={"steps": STEPS})
    assert (same.status_code, same.json()["version"]) == (200, 1)
    changed = await kept.put(PATH, content=YAML, headers={"Content-Type": "application/yaml"})
    assert (changed.status_code, changed.json()["version"]) == (200, 2), changed.text
    assert changed.json()["steps"][0]["message"] == {"at": "2027-01-01"}
    assert (await kept.get(f"{PATH}?version=1")).json()["steps"][1]["delay_seconds"] == 3600
    assert (await kept.get(f"{PATH}?version=9")).status_code == 404
    revisions = (await kept.get(f"{PATH}/revisions")).json()["items"]
    assert [(each["version"], each["current"]) for each in revisions] == [(2, True), (1, False)]
    (listed,) = (await kept.get("/api/v1/workflows")).json()["items"]
    assert (listed["name"], listed["version"], listed["steps"]) == ("order", 2, ["charge", "ship"])
    back = (await kept.get(PATH)).json()
    assert (await kept.put(PATH, json=back)).json()["version"] == 2, "what a GET answers is the same content"
    assert (await kept.delete(PATH)).status_code == 204
    assert (await kept.get(PATH)).status_code == 404
    assert (await kept.post(f"{PATH}:start")).status_code == 404


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        ("steps: &a [{id: x, after: *a}]", 400, "aliases"),
        ("steps: [", 400, "YAML"),
        ("steps: [{id: a, after: [a], target: 'https://x.example.com/'}]", 422, "goes in a circle: a <- a"),
        ("- 1", 422, "object"),
        ("!!python/object:os.system {}", 400, "YAML"),
    ],
)
async def test_yaml_that_is_refused(api: httpx.AsyncClient, content: str, status: int, said: str) -> None:
    answer = await api.put(PATH, content=content, headers={"Content-Type": "application/yaml"})
    assert answer.status_code == status, answer.text
    assert said in answer.text


async def test_a_run_from_start_to_end(kept: httpx.AsyncClient, world: World) -> None:
    run = await started(kept, world)
    path = f"/api/v1/workflow-runs/{run['id']}"
    shown = (await kept.get(path)).json()
    assert (shown["workflow"], shown["version"], shown["state"], shown["input"]) == (
        "order",
        1,
        "running",
        {"order": 7},
    )
    charge, ship = shown["steps"]
    assert (charge["state"], charge["schedule"], charge["attempts"]) == ("in_flight", f"{run['id']}.charge", 1)
    assert (ship["state"], ship["after"]) == ("pending", ["charge"])
    ((_, order),) = world.orders()
    assert order.message == b'{"order":7}'
    await world.finish()
    await world.caught_up()
    shown = (await kept.get(path)).json()
    assert [each["state"] for each in shown["steps"]] == ["succeeded", "waiting"]
    assert (shown["steps"][0]["status"], shown["steps"][1]["due"]) == (200, shown["steps"][1]["next_run"])
    skipped = await kept.post(f"{path}:skip", json={"step": "ship"})
    assert (skipped.status_code, skipped.json()["state"]) == (200, "succeeded"), skipped.text
    (listed,) = (await kept.get("/api/v1/workflow-runs?workflow=order&state=succeeded")).json()["items"]
    assert listed["id"] == run["id"]
    assert (await kept.get("/api/v1/workflow-runs?state=failed")).json()["items"] == []


async def test_verbs(kept: httpx.AsyncClient, world: World) -> None:
    run = await started(kept, world)
    path = f"/api/v1/workflow-runs/{run['id']}"
    assert (await kept.post(f"{path}:pause")).json()["state"] == "paused"
    assert (await kept.post(f"{path}:resume")).json()["state"] == "running"
    assert (await kept.post(f"{path}:retry")).status_code == 409
    assert (await kept.post(f"{path}:skip")).status_code == 422
    assert (await kept.post(f"{path}:skip", json={"step": "nobody"})).status_code == 422
    await world.finish("failed", status=400)
    await world.caught_up()
    failed = (await kept.get(path)).json()
    assert (failed["state"], failed["reason"].partition(":")[0]) == ("failed", "charge")
    again = await kept.post(f"{path}:retry", json={"step": "charge"})
    assert (again.status_code, again.json()["state"], again.json()["steps"][0]["tries"]) == (200, "running", 2)
    await world.caught_up()
    cancelled = await kept.post(f"{path}:cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert (await kept.post(f"{path}:cancel")).status_code == 409
    assert (await kept.get("/api/v1/workflow-runs/nobody")).status_code == 404


async def test_one_key_is_one_run_and_a_when_makes_a_schedule(kept: httpx.AsyncClient) -> None:
    first, second = [await kept.post(f"{PATH}:start", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert first.json()["id"] == second.json()["id"]
    nightly = await kept.post(f"{PATH}:start", json={"when": {"cron": "0 2 * * *"}, "input": {"a": 1}})
    assert nightly.status_code == 201, nightly.text
    assert nightly.json()["target"] == {"type": "workflow", "name": "order", "timeout_seconds": 30}
    assert nightly.json()["message"] == {"a": 1}
    for wrong, field in (
        ({"inputs": 1}, "inputs"),
        ({"input": "x" * 70_000}, "input"),
        ({"when": {"cron": "x"}}, "when.cron"),
    ):
        refused = await kept.post(f"{PATH}:start", json=wrong)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


async def test_secrets_of_steps_are_not_shown_and_come_back(api: httpx.AsyncClient) -> None:
    hook = {**HOOK, "headers": {"Authorization": "Bearer s3cret"}}
    made = await api.put(PATH, json={"steps": [{"id": "a", "target": hook}]})
    assert made.status_code == 201
    assert "s3cret" not in made.text
    again = await api.put(PATH, json=made.json())
    assert (again.status_code, again.json()["version"]) == (200, 1)

"""The door: tokens, sizes, counts, and problem documents for everything else that goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from squirrel.gateway.access import OPEN_PATHS
from squirrel.model.limits import BODY_BYTES_MAX, PAYLOAD_BYTES_MAX, REQUEST_BYTES_MAX
from tests.eventually import eventually
from tests.unit.gateway.world import World, client_of, create_app, one_shot


async def test_the_token(world: World) -> None:
    async with client_of(create_app(world.deps(api_token="s3cret"))) as api:
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cre"}, {"Authorization": "Bearer "}):
            answer = await api.get("/api/v1/schedules", headers=header)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert answer.headers["content-type"] == "application/problem+json"
        for given in ("Bearer s3cret", "bearer s3cret", "s3cret"):
            assert (await api.get("/api/v1/schedules", headers={"Authorization": given})).status_code == 200
        for path in sorted(OPEN_PATHS):
            assert (await api.get(path)).status_code == 200, path
        assert (await api.get("/metrics")).status_code == 401
        assert (await api.get("/nowhere")).status_code == 401


async def test_sizes(api: httpx.AsyncClient) -> None:
    for path, limit in (("/api/v1/schedules", REQUEST_BYTES_MAX), ("/api/v1/schedules:batch", BODY_BYTES_MAX)):
        answer = await api.post(path, content=b" " * (limit + 1))
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:squirrel:problem:too_large")
        assert (await api.post(path, content=b" " * limit)).status_code == 400
    message = await api.post("/api/v1/schedules", json=one_shot(message="x" * PAYLOAD_BYTES_MAX))
    assert (message.status_code, message.json()["errors"][0]["field"]) == (413, "message")


@pytest.mark.parametrize(
    ("document", "field", "words"),
    [
        ({"event": "e", "when": {"rrule": "FREQ=DAILY;BYSETPOS=" + "1," * 1_000_000}}, "rrule", "BYSETPOS takes most"),
        ({"when": {"rrule": "RRULE:FREQ=DAILY\nEXDATE:" + "20270101T000000Z," * 70_000}}, "rrule", "EXDATE takes most"),
        ({"ical": "BEGIN:VCALENDAR\n" + "X-A:b\n" * 1_700_000}, "ical", "coming years"),
        ({"event": "e", "message": "x" * 2_000_000}, "message", "send a reference"),
        ({"message": {f"k{n}": n for n in range(200_000)}}, None, "send less at once"),
        ([1] * 600_000, None, "send less at once"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
async def test_what_takes_the_room_is_named(
    api: httpx.AsyncClient, document: Any, field: str | None, words: str, whole: bool
) -> None:
    body = json.dumps(document).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    answer = await api.post("/api/v1/schedules", content=body if whole else pieces())
    assert answer.status_code == 413
    assert words in answer.json()["detail"]
    assert [each["field"] for each in answer.json().get("errors", ())] == ([] if field is None else [field])


async def test_a_body_in_pieces_is_counted(api: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    assert (await api.post("/api/v1/schedules", content=pieces())).status_code == 413


async def test_compressed_bodies_and_large_heads_are_refused(api: httpx.AsyncClient) -> None:
    packed = await api.post("/api/v1/schedules", content=b"x", headers={"Content-Encoding": "gzip"})
    assert packed.status_code == 415
    many = await api.get("/healthz", headers={f"x-{number}": "y" for number in range(200)})
    assert many.status_code == 431
    long = await api.get("/api/v1/schedules?q=" + "x" * 20_000)
    assert long.status_code == 413


async def test_too_many_calls_at_once(world: World) -> None:
    async with client_of(create_app(world.deps(requests_max=1))) as api:
        world.log.stalled = asyncio.Event()
        waiting = asyncio.create_task(api.post("/api/v1/schedules", json=one_shot()))

        async def is_busy() -> bool:
            return (await api.get("/api/v1/routes")).status_code == 503

        await eventually(is_busy)
        busy = await api.get("/api/v1/routes")
        assert busy.headers["retry-after"] == "1"
        assert (await api.get("/healthz")).status_code == 200
        world.log.stalled.set()
        assert (await waiting).status_code == 201
        assert (await api.get("/api/v1/routes")).status_code == 200


async def test_a_fault_of_ours_is_a_problem_document(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.history, "dead_letters", broken)
    async with client_of(create_app(world.deps())) as api:
        answer = await api.get("/api/v1/dead-letters")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:squirrel:problem:internal")
    assert "Zero" not in answer.text


async def test_probes_stats_metrics(api: httpx.AsyncClient, world: World) -> None:
    assert (await api.get("/readyz")).json() == {"status": "ready"}
    await api.post("/api/v1/schedules", json=one_shot(when={"in_seconds": 0}))
    await world.emitted()
    world.clock.wall_ms += 7
    await world.finish()
    stats = (await api.get("/api/v1/stats")).json()
    assert stats["engine"]["commands"] == 1
    assert stats["lateness_ms"] == {"samples": 1, "p50": 7, "p90": 7, "p99": 7, "max": 7}
    assert stats["runs"]["by_state"] == {"succeeded": 1}
    metrics = (await api.get("/metrics")).text
    assert 'squirrel_gateway_requests_total{method="POST",status="201"} 1.0' in metrics
    assert (await api.request("HEAD", "/healthz")).status_code == 200


async def test_not_ready_says_why(api: httpx.AsyncClient, world: World) -> None:
    del world.directory.map[2]
    world.log.down = True
    answer = await api.get("/readyz")
    assert answer.status_code == 503
    assert set(answer.json()["missing"]) == {"kafka", "engine"}


async def test_docs_ask_no_other_host(api: httpx.AsyncClient) -> None:
    page = await api.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "http://" not in page.text
    assert "https://" not in page.text


async def test_browsers_of_allowed_origins(world: World) -> None:
    async with client_of(create_app(world.deps(allowed_origins=("https://ui.example.com",)))) as api:
        answer = await api.get("/healthz", headers={"Origin": "https://ui.example.com"})
        assert answer.headers["access-control-allow-origin"] == "https://ui.example.com"
        assert "access-control-allow-origin" not in (await api.get("/healthz", headers={"Origin": "https://x"})).headers

"""The main job from outside: `squirrel dev`, REST and Kafka in, a webhook at its instant, everything on record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer

from squirrel.wire.public import decode_completion, decode_refused
from tests.dev_instance import DevInstance
from tests.eventually import eventually
from tests.system.dev.sink import Sink

EARLY_MS = 1.0  # the sink and the executor round the same wall clock


def in_seconds(seconds: float) -> str:
    """An instant from now, RFC 3339 with milliseconds."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def due_ms(document: dict[str, Any]) -> float:
    return datetime.fromisoformat(document["next_run"]).timestamp() * 1000


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[DevInstance]:
    async with DevInstance(tmp_path / "data") as instance:
        yield instance


async def runs_of(client: httpx.AsyncClient, schedule_id: str, state: str) -> list[dict[str, Any]]:
    async def found() -> list[dict[str, Any]]:
        answer = await client.get(f"/api/v1/schedules/{schedule_id}/runs")
        items = answer.json().get("items", [])
        return [item for item in items if item["state"] == state]

    runs: list[dict[str, Any]] = await eventually(found, 20)
    return runs


async def completions_of(kafka: str, wanted: set[str]) -> dict[str, Any]:
    """The completions of these schedules, as a downstream user reads them."""
    consumer = AIOKafkaConsumer("squirrel.completions", bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[str, Any] = {}
    try:
        async with asyncio.timeout(30):
            while set(found) < wanted:
                record = await consumer.getone()
                completion = decode_completion(record.value)
                if completion.schedule_id in wanted:
                    found[completion.schedule_id] = (completion, dict(record.headers), record.key)
    finally:
        await consumer.stop()
    return found


@pytest.mark.timeout(300)
async def test_from_rest_and_kafka_to_the_webhook_and_back(dev: DevInstance) -> None:
    async with Sink() as sink, httpx.AsyncClient(base_url=dev.url, timeout=20) as client:
        target = {"target": {"type": "http", "url": sink.url}}
        assert (await client.put("/api/v1/routes/email.send.*", json=target)).status_code == 201
        first = await client.post(
            "/api/v1/schedule",
            json={
                "event": "email.send.paper_workflow_1",
                "message": {"subject": "Reminder"},
                "sendAt": in_seconds(3),
                "maxRetries": 0,
                "fireAndForget": False,
            },
        )
        assert first.status_code == 201, first.text
        parent = first.json()
        child = await client.post(
            "/api/v1/schedules",
            json={
                "event": "email.send.follow_up",
                "message": {"subject": "Follow-up"},
                "after": [{"schedule": parent["id"], "on": "success"}],
                "delay_seconds": 2,
            },
        )
        assert child.status_code == 201, child.text
        assert child.json()["state"] == "waiting"

        await sink.count(2)
        called, followed = sink.received
        lateness_ms = called.at_ms - due_ms(parent)
        assert lateness_ms >= -EARLY_MS, f"called {-lateness_ms:.1f} ms before its due instant"
        assert called.json == {"subject": "Reminder"}
        (run,) = await runs_of(client, parent["id"], "succeeded")
        assert called.headers["webhook-id"] == run["id"] == called.headers["idempotency-key"]
        assert called.headers["squirrel-attempt"] == "1"
        assert called.headers["squirrel-schedule-id"] == parent["id"]
        (attempt,) = run["attempts"]
        assert attempt["status"] == 200
        assert attempt["body"] == "ok"
        times = [datetime.fromisoformat(attempt[name]) for name in ("due", "started", "finished")]
        assert times == sorted(times)
        assert {"emitted", "picked_up"} <= attempt.keys()
        finished_ms = datetime.fromisoformat(attempt["finished"]).timestamp() * 1000
        assert followed.at_ms - finished_ms >= 2000 - EARLY_MS
        await runs_of(client, child.json()["id"], "succeeded")

        completions = await completions_of(dev.kafka, {parent["id"], child.json()["id"]})
        completion, headers, key = completions[parent["id"]]
        assert (completion.state, key) == ("succeeded", parent["id"].encode())
        assert headers["ce_type"] == b"squirrel.run.succeeded"
        assert headers["ce_subject"] == parent["id"].encode()
        late = await client.delete(f"/api/v1/schedules/{parent['id']}")
        assert late.status_code == 409
        assert late.json()["run"]["id"] == run["id"]


@pytest.mark.timeout(300)
async def test_a_foreign_client_sends_schedules_and_rubbish_to_the_inbox(dev: DevInstance) -> None:
    async with Sink() as sink, httpx.AsyncClient(base_url=dev.url, timeout=20) as client:
        target = {"type": "http", "url": sink.url}
        producer = Producer({"bootstrap.servers": dev.kafka})
        good = {"id": "from-kafka", "event": "a.b", "message": 1, "sendAt": in_seconds(2), "target": target}
        values: list[bytes] = [
            b"{not json",
            json.dumps(good).encode(),
            json.dumps({"event": "a.b", "when": {"at": "tomorrow"}, "target": target}).encode(),
            json.dumps({"event": "c.d", "message": 2, "in_seconds": 1, "target": target}).encode(),
            json.dumps({"id": "cancelled", "event": "e.f", "in_seconds": 60, "target": target}).encode(),
            json.dumps({"op": "cancel", "id": "cancelled"}).encode(),
        ]
        for number, value in enumerate(values):
            producer.produce("squirrel.inbox", value, key=None if number % 2 else b"some key")
        producer.flush(20)
        await sink.count(2)
        assert sorted(call.json for call in sink.received) == [1, 2]
        await runs_of(client, "from-kafka", "succeeded")

        async def cancelled() -> bool:
            answer = await client.get("/api/v1/schedules/cancelled")
            return answer.status_code == 200 and answer.json()["state"] == "cancelled"

        await eventually(cancelled, 20)
        consumer = AIOKafkaConsumer("squirrel.refused", bootstrap_servers=dev.kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            async with asyncio.timeout(20):
                refused = [decode_refused((await consumer.getone()).value) for _ in range(2)]
        finally:
            await consumer.stop()
        assert {record.received["topic"] for record in refused} == {"squirrel.inbox"}
        assert {record.field for record in refused} >= {"when.at"}


@pytest.mark.timeout(300)
async def test_it_ends_in_five_seconds_and_goes_on_where_it_was(dev: DevInstance, tmp_path: Path) -> None:
    async with Sink() as sink, httpx.AsyncClient(base_url=dev.url, timeout=20) as client:
        target = {"type": "http", "url": sink.url}
        body = {"id": "owed", "event": "a.b", "message": "owed", "sendAt": in_seconds(4), "target": target}
        assert (await client.post("/api/v1/schedules", json=body)).status_code == 201
        assert await dev.stop() <= 5.0
        async with DevInstance(tmp_path / "second") as other:
            # A second instance beside it, with nothing of the first.
            assert (await client.get(f"{other.url}/api/v1/schedules/owed")).status_code == 404
        assert sink.received == []
        began_ms = time() * 1000
        await dev.start()
        (called,) = await sink.count(1)
        assert called.json == "owed"
        assert called.at_ms > began_ms
        await runs_of(client, "owed", "succeeded")
        assert len(sink.received) == 1

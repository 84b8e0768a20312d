"""Fallback chains on a whole installation: the target is down, and a backup, a Kafka topic or a notifier answers instead."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from squirrel.testing import Target, answer, failing
from squirrel.wire.public import Completion, decode_completion
from tests.dev_instance import DevInstance
from tests.eventually import eventually

ALARMS = "alarms"
ONCE = {"max_retries": 0}
TWICE = {"max_retries": 1, "strategy": "fixed", "initial_seconds": 0.05, "jitter": 0}


async def records(kafka: str, topic: str, count: int) -> list[Any]:
    """The first records of a topic, as a user's consumer reads them."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(40):
            return [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()


async def create_topic(kafka: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


def told(run: dict[str, Any]) -> list[tuple[int, str, str]]:
    """(0 the target, n its n-th fallback; its type; how it ended) of each attempt."""
    return [(each.get("fallback", 0), each["target"]["type"], each["state"]) for each in run["attempts"]]


async def test_who_answers_in_the_end_is_part_of_the_result(tmp_path: Path) -> None:
    async with (
        DevInstance(tmp_path / "data") as dev,
        Target(answer(500, b"down")) as dead,
        Target(failing(1, status=500)) as backup,
        Target(answer(500)) as slack,
        Target(answer(200)) as notified,
        httpx.AsyncClient(base_url=dev.url, timeout=20) as api,
    ):
        down = {"type": "http", "url": dead.url}
        chains: dict[str, list[dict[str, Any]]] = {
            "topic": [{**down, "retry": ONCE}, {"type": "kafka", "topic": ALARMS, "key": "k"}],
            "notifier": [{"type": "slack", "url": slack.url}, {"type": "apprise", "url": f"json://127.0.0.1:{notified.port}/hook"}],
            "nobody": [down],
        }  # fmt: skip
        await create_topic(dev.kafka, ALARMS)
        route = {"target": down, "retry": TWICE, "fallback": [{"type": "http", "url": backup.url, "retry": TWICE}]}
        assert (await api.put("/api/v1/routes/mail.*", json=route)).status_code == 201
        due = {"when": {"in_seconds": 0.5}}
        bodies: list[dict[str, Any]] = [{"id": "backup", "event": "mail.send", "message": {"for": "backup"}, **due}]
        for name, chain in chains.items():
            body = {"id": name, "event": "job.run", "message": {"for": name}, "target": down, "retry": ONCE}
            bodies.append({**body, "fallback": chain, **due})
        for body in bodies:
            made = await api.post("/api/v1/schedules", json=body)
            assert made.status_code == 201, made.text
        runs: dict[str, dict[str, Any]] = {}

        async def all_over() -> bool:
            for name in (each["id"] for each in bodies):
                items = (await api.get(f"/api/v1/schedules/{name}/runs")).json()["items"]
                if items and items[0]["state"] in ("succeeded", "failed"):
                    runs[name] = items[0]
            return len(runs) == len(bodies)

        await eventually(all_over, 60)
        failed, done = "failed", "succeeded"
        assert told(runs["backup"]) == [(0, "http", failed)] * 2 + [(1, "http", failed), (1, "http", done)]
        assert told(runs["topic"]) == [(0, "http", failed), (1, "http", failed), (2, "kafka", done)]
        assert told(runs["notifier"]) == [(0, "http", failed), (1, "slack", failed), (2, "apprise", done)]
        assert told(runs["nobody"]) == [(0, "http", failed), (1, "http", failed)]
        assert {name: run["state"] for name, run in runs.items()} == {
            "backup": done, "topic": done, "notifier": done, "nobody": failed,
        }  # fmt: skip

        # Each of them got the message, under the run's own id.
        assert [each.header("webhook-id") for each in backup.requests] == [runs["backup"]["id"]] * 2
        (alarm,) = await records(dev.kafka, ALARMS, 1)
        assert (json.loads(alarm.value), alarm.key) == ({"for": "topic"}, b"k")
        (notice,) = notified.requests
        assert '"for": "notifier"' in json.loads(notice.body)["message"]

        # And who answered is on the topic that everyone downstream reads.
        completions: list[Completion] = [
            decode_completion(each.value) for each in await records(dev.kafka, "squirrel.completions", len(bodies))
        ]
        stages = {each.schedule_id: (each.state, each.stage, each.attempts) for each in completions}
        assert stages == {
            "backup": (done, 1, 4), "topic": (done, 2, 3), "notifier": (done, 2, 3), "nobody": (failed, 1, 2),
        }  # fmt: skip
        letters = (await api.get("/api/v1/dead-letters")).json()["items"]
        assert [each["schedule_id"] for each in letters] == ["nobody"]

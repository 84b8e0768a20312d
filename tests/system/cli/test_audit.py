"""Who changed what, listed and judged from the real topic; a record that somebody puts in between is found."""

from __future__ import annotations

import json
from uuid import uuid4

import httpx
from aiokafka import AIOKafkaProducer

from squirrel.wire.audit import read_audit
from tests.dev_instance import DevInstance
from tests.system.cli.conftest import Squirrel


async def test_changes_are_listed_and_a_forged_record_is_found(dev: DevInstance, squirrel: Squirrel) -> None:
    name = f"a-{uuid4().hex[:8]}"
    body = {
        "id": name,
        "event": "audit.me",
        "when": {"in_seconds": 86_400},
        "target": {"type": "http", "url": "http://127.0.0.1:9/"},
    }
    async with httpx.AsyncClient(base_url=dev.url, headers={"X-User": "maria"}) as client:
        assert (await client.post("/api/v1/schedules", json=body)).status_code == 201
        assert (await client.post(f"/api/v1/schedules/{name}:pause")).status_code == 200
        assert (await client.delete(f"/api/v1/schedules/{name}")).status_code == 204
    listed = json.loads(squirrel("audit", "list", "--id", name, "-o", "json").stdout)
    assert [(each["operation"], each["outcome"], each["actor"]) for each in listed] == [
        ("Schedules_delete", "done", "maria"), ("Schedules_pause", "done", "maria"), ("Schedules_create", "done", "maria"),
    ]  # fmt: skip
    assert "hold together" in squirrel("audit", "verify", "--kafka", dev.kafka).stdout

    forged = json.dumps(
        {key: value for key, value in listed[0].items() if key != "hash"} | {"actor": "eve", "at_ms": 1}
    ).encode()
    forged = forged[:-1] + b',"hash":"' + b"0" * 64 + b'"}'
    assert read_audit(forged).actor == "eve"
    producer = AIOKafkaProducer(bootstrap_servers=dev.kafka)
    await producer.start()
    try:
        await producer.send_and_wait("squirrel.audit", forged, partition=0)
    finally:
        await producer.stop()
    report = json.loads(squirrel("audit", "verify", "--kafka", dev.kafka, "-o", "json", code=1).stdout)
    assert (report["faults"], report["first"][0]["what"]) == (1, "changed")

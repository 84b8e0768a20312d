"""The watchdog in real processes: an engine is frozen, and what should have run is told all the same."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from squirrel.runtime.local.jvm import free_port
from squirrel.testing import Target, answer
from tests.dev_instance import DevInstance, service_pid
from tests.eventually import eventually


@pytest.fixture
async def notices() -> AsyncIterator[Target]:
    async with Target(answer(204)) as target:
        yield target


@pytest.fixture
async def dev(tmp_path: Path, notices: Target) -> AsyncIterator[DevInstance]:
    environment = {
        "SQUIRREL_WATCHDOG_URL": f"http://127.0.0.1:{free_port()}",
        "SQUIRREL_WATCHDOG_THRESHOLD_SECONDS": "7",
        "SQUIRREL_NOTIFY": f'[{{"type": "http", "url": "{notices.url}"}}]',
        "SQUIRREL_SESSION_TIMEOUT_SECONDS": "60",  # it is the watchdog that shall notice, and not the group
    }
    async with DevInstance(tmp_path / "dev", environment=environment) as instance:
        yield instance


async def asked(client: httpx.AsyncClient, state: str = "overdue") -> dict[str, Any]:
    answered = await client.get("/api/v1/expectations", params={"state": state})
    assert answered.status_code == 200, answered.text
    document: dict[str, Any] = answered.json()
    return document


async def test_a_frozen_engine_is_told(dev: DevInstance, notices: Target) -> None:
    async with httpx.AsyncClient(base_url=dev.url, trust_env=False) as client:
        target = {"type": "http", "url": notices.url}
        every = {"every": {"interval": "second", "value": 1}}
        for body in (
            {"id": "tick", "event": "tick", "when": every, "target": target},
            {"id": "later", "event": "later", "when": {"in_seconds": 3600}, "target": target},
        ):
            assert (await client.post("/api/v1/schedules", json=body)).status_code == 201

        async def ended() -> bool:
            items = (await asked(client, "ended"))["items"]
            return any(each["schedule_id"] == "tick" and {"due", "emitted", "delivered"} <= set(each) for each in items)

        await eventually(ended, timeout_seconds=30)
        assert (await asked(client))["items"] == []
        assert "later" in [each["schedule_id"] for each in (await asked(client, "coming"))["items"]]

        engine = service_pid(dev.pid, "engine")
        os.kill(engine, signal.SIGSTOP)
        try:

            async def overdue() -> bool:
                items = (await asked(client))["items"]
                return [each["schedule_id"] for each in items] == ["tick"] and items[0]["missing_count"] >= 5

            await eventually(overdue, timeout_seconds=30)
            await eventually(
                lambda: any(b"should have run" in each.body for each in notices.requests), timeout_seconds=30
            )
        finally:
            os.kill(engine, signal.SIGCONT)

        async def well() -> bool:
            return (await asked(client))["counts"] == {"overdue": 0, "unanswered": 0}

        await eventually(well, timeout_seconds=60)

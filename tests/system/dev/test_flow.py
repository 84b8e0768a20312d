"""A flow's limits hold over everything that shares its key, on real processes: by REST and by Kafka's partitions alike."""

from __future__ import annotations

from pathlib import Path

import httpx

from squirrel.testing import Target, delayed
from squirrel.testing.target import Line, Received
from tests.dev_instance import DevInstance
from tests.eventually import eventually

CALLS = 12


class Crowd:
    """A target that takes its time, and knows how many calls it had at once."""

    def __init__(self) -> None:
        self.now = self.most = self.ended = 0

    async def __call__(self, line: Line, received: Received) -> bool:
        self.now += 1
        self.most = max(self.most, self.now)
        kept = await delayed(0.1)(line, received)
        self.now -= 1
        self.ended += 1
        return kept

    async def all_ended(self) -> bool:
        return self.ended == CALLS


async def test_a_routes_parallelism_holds_over_all_schedules_and_none_is_lost(tmp_path: Path) -> None:
    crowd = Crowd()
    async with (
        DevInstance(tmp_path / "data") as dev,
        Target(crowd) as target,
        httpx.AsyncClient(base_url=dev.url) as client,
    ):
        route = {"target": {"type": "http", "url": target.url}, "flow": {"parallelism": 2}}
        assert (await client.put("/api/v1/routes/mail.*", json=route)).status_code == 201
        schedules = [{"id": f"mail-{n}", "event": "mail.send", "when": {"in_seconds": 1}} for n in range(CALLS)]
        answer = await client.post("/api/v1/schedules:batch", json={"schedules": schedules})
        assert {each["status"] for each in answer.json()["results"]} == {201}
        shown = (await client.get("/api/v1/schedules/mail-0")).json()
        assert shown["group"] == "flow:mail.*"
        await eventually(crowd.all_ended, 60)
        assert crowd.most <= 2
        assert len({request.header("webhook-id") for request in target.requests}) == CALLS

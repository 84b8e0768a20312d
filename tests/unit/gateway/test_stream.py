"""The live stream: who sees what, who is let go, and what a stop does. Read over a real connection's ASGI messages."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any, Self

import httpx
import pytest
from fastapi import FastAPI

from squirrel.gateway import stream as room
from tests.unit.gateway.world import World, client_of, create_app


class SetSource:
    """Gives what a test puts."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[list[tuple[str, bytes]] | Exception] = asyncio.Queue()
        self.starts = 0
        self.broken = False

    async def start(self) -> None:
        self.starts += 1
        if self.broken:
            raise OSError("no broker")

    async def stop(self) -> None:
        """Nothing is held."""

    async def records(self) -> list[tuple[str, bytes]]:
        found = await self.waiting.get()
        if isinstance(found, Exception):
            raise found
        return found

    def happen(
        self, event: str, schedule: str, namespace: str = "default", topic: str = "squirrel.completions"
    ) -> None:
        value = (
            f'{{"namespace":"{namespace}","event":"{event}","schedule_id":"{schedule}","run":"r","state":"succeeded"}}'
        )
        self.waiting.put_nowait([(topic, value.encode())])


@pytest.fixture
def source() -> SetSource:
    return SetSource()


@pytest.fixture
async def app(world: World, source: SetSource) -> AsyncIterator[FastAPI]:
    made = create_app(dataclasses.replace(world.deps(), new_live_source=lambda: source))
    async with client_of(made):
        yield made


class Watcher:
    """One GET of the stream: its parts as they come; leaves at the end of `async with`."""

    def __init__(self, app: FastAPI, query: str = "") -> None:
        self.parts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._asked = False
        scope = {
            "type": "http", "method": "GET", "path": "/api/v1/stream", "raw_path": b"/api/v1/stream", "headers": [],
            "query_string": query.encode(), "http_version": "1.1", "scheme": "http", "server": ("gateway", 80),
            "client": ("127.0.0.1", 1), "root_path": "", "asgi": {"version": "3.0", "spec_version": "2.4"},
        }  # fmt: skip
        self._call = lambda: app(scope, self._receive, self._send)
        self._task: asyncio.Task[None] | None = None

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.parts.put_nowait(dict(message))

    async def part(self) -> bytes:
        message = await asyncio.wait_for(self.parts.get(), 5)
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            return await self.part()
        body: bytes = message.get("body", b"")
        return body

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._call())
        assert (await self.part()).startswith(b": squirrel")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})


async def test_watchers_share_one_reading_and_see_their_own(app: FastAPI, source: SetSource) -> None:
    async with Watcher(app, "event=email.*") as mails, Watcher(app, "schedule=s2") as one:
        source.happen("email.send", "s1", namespace="other")
        source.happen("bill.send", "s1")
        source.happen("email.send", "s1", topic="squirrel.results")
        source.happen("email.send", "s2")
        first = await mails.part()
        assert first.startswith(b"event: result\n")
        assert b'"schedule_id":"s1"' in first
        assert b'"schedule_id":"s2"' in await mails.part()
        assert b"event: completion\n" in await one.part()
        assert source.starts == 1


async def test_a_workflows_run_is_watched_with_all_its_steps_and_nobody_elses(app: FastAPI, source: SetSource) -> None:
    async with Watcher(app, "workflow_run=wf-1") as watcher:
        for schedule in ("wf-2.charge", "wf-10.charge", "wf-1.charge", "other", "wf-1"):
            source.happen("order.step", schedule)
        assert b'"schedule_id":"wf-1.charge"' in await watcher.part()
        assert b'"schedule_id":"wf-1"' in await watcher.part()


async def test_a_slow_watcher_is_let_go(app: FastAPI, source: SetSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "QUEUE_EVENTS_MAX", 3)
    async with Watcher(app) as watcher:
        value = b'{"namespace":"default"}'
        source.waiting.put_nowait([("squirrel.results", value)] * 10)
        seen = [await watcher.part() for _ in range(4)]
        assert b"data" in seen[0]
        assert seen[-1].startswith(b": too slow")


async def test_a_lost_broker_ends_the_stream_and_the_next_begins_anew(app: FastAPI, source: SetSource) -> None:
    async with Watcher(app) as watcher:
        source.waiting.put_nowait(OSError("gone"))
        assert b"connect again" in await watcher.part()
    async with Watcher(app) as again:
        source.happen("a", "s")
        assert b"data" in await again.part()
    assert source.starts == 2


async def test_heartbeats_keep_it(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "HEARTBEAT_SECONDS", 0.01)
    async with Watcher(app) as watcher:
        assert (await watcher.part()).startswith(b": still here")


async def test_a_stop_ends_streams(app: FastAPI) -> None:
    async with Watcher(app) as watcher:
        app.state.end_streams(b": bye\n\n")
        assert await watcher.part() == b": bye\n\n"


async def test_refusals(
    app: FastAPI, api: httpx.AsyncClient, source: SetSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        for query in ("schedule=a%20b", "till=x"):
            assert (await client.get(f"/api/v1/stream?{query}")).status_code == 422
        source.broken = True
        assert (await client.get("/api/v1/stream")).status_code == 503
        monkeypatch.setattr(room, "SUBSCRIBERS_MAX", 0)
        assert (await client.get("/api/v1/stream")).headers["retry-after"] == "10"
    assert (await api.get("/api/v1/stream")).status_code == 503

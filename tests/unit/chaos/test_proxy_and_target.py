"""The proxy passes on, cuts and resets; the target answers by the script in its URL and keeps what it saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from squirrel.runtime.local.jvm import free_port
from tests.chaos.ending import Ending
from tests.chaos.http import Http, NoAnswer
from tests.chaos.proxy import Proxy
from tests.chaos.target import ScriptedTarget
from tests.eventually import eventually
from tests.judge.history import decoded
from tests.judge.records import Call

HEADERS = (
    ("webhook-id", "run_1"),
    ("squirrel-schedule-id", "a"),
    ("squirrel-scheduled-for", "2027-01-15T08:00:00.000Z"),
)


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[ScriptedTarget]:
    ending = Ending()
    found = ScriptedTarget(tmp_path / "sink.jsonl", ending)
    await found.start()
    yield found
    ending.end()
    found.close()


def _attempt(number: int) -> tuple[tuple[str, str], ...]:
    return (*HEADERS, ("squirrel-attempt", str(number)))


async def test_the_script_decides_by_the_attempt(target: ScriptedTarget, tmp_path: Path) -> None:
    http = Http(target.port, 2)
    path = target.url(fails=2, kind="503", latency_ms=10).partition(f":{target.port}")[2]
    statuses = [(await http.call("POST", path, {"nonce": 1}, _attempt(number))).status for number in (1, 2, 3, 1)]
    assert statuses == [503, 503, 200, 503]
    http.close()
    target.flush()
    calls = decoded(tmp_path / "sink.jsonl", Call)
    assert [(call.attempt, call.status, call.nonce) for call in calls] == [
        (1, 503, 1),
        (2, 503, 1),
        (3, 200, 1),
        (1, 503, 1),
    ]
    assert all(call.ended_ns is not None and call.ended_ns >= call.mono_ns for call in calls)
    assert calls[0].due_ms == 1_800_000_000_000


@pytest.mark.parametrize("kind", ["reset", "hang", "drip", "endless"])
async def test_a_target_that_misbehaves(target: ScriptedTarget, kind: str) -> None:
    http = Http(target.port, 0.3)
    path = target.url(fails=1, kind=kind).partition(f":{target.port}")[2]
    if kind in ("drip", "endless"):  # a head, and no length
        assert (await http.call("POST", path, {}, _attempt(1))).status == 500
    else:
        with pytest.raises(NoAnswer):
            await http.call("POST", path, {}, _attempt(1))
    http.close()
    await eventually(lambda: not target.open, what="the call has ended at the target")


async def test_the_proxy_passes_on_cuts_and_heals(target: ScriptedTarget) -> None:
    proxy = Proxy(target.port)
    await proxy.start()
    http = Http(proxy.port, 0.4)
    assert (await http.call("POST", "/", {}, _attempt(1))).status == 200
    proxy.cut(down=False)
    with pytest.raises(NoAnswer):
        await http.call("POST", "/", {}, _attempt(1))
    proxy.heal()
    assert (await http.call("POST", "/", {}, _attempt(1))).status == 200
    proxy.delay_seconds = 0.05
    loop = asyncio.get_running_loop()
    began = loop.time()
    await http.call("POST", "/", {}, _attempt(1))
    assert loop.time() - began >= 0.09
    proxy.reset()
    await eventually(lambda: not proxy.pairs, what="all connections are gone")
    http.close()
    await proxy.stop()


async def test_nobody_behind_the_proxy_is_a_closed_connection() -> None:
    proxy = Proxy(free_port())
    await proxy.start()
    http = Http(proxy.port, 2)
    with pytest.raises(NoAnswer):
        await http.call("GET", "/")
    await proxy.stop()

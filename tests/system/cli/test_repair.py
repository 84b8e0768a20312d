"""Failed runs found, called again by filter, given up: by the command line and both clients, against a running product."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from uuid import uuid4

import pytest

from squirrel.client import AsyncClient, Client, ClientError, DeadLetter
from tests.dev_instance import DevInstance, service_pid
from tests.eventually import eventually
from tests.system.cli.conftest import Squirrel


class _Moody(BaseHTTPRequestHandler):
    """404 until it is told otherwise: final, so one attempt makes a dead letter."""

    protocol_version = "HTTP/1.1"
    status = 404

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.send_response(type(self).status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def moody() -> Iterator[str]:
    _Moody.status = 404
    with ThreadingHTTPServer(("127.0.0.1", 0), _Moody) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


async def dead(client: Client, event: str, count: int) -> list[DeadLetter]:
    """The letters of an event, once there are so many."""
    found: list[DeadLetter] = []

    def there() -> bool:
        found[:] = client.dead_letters(event=event, state="open")
        return len(found) == count

    await eventually(there, timeout_seconds=30)
    return found


async def test_failed_runs_are_repaired(dev: DevInstance, squirrel: Squirrel, moody: str) -> None:
    family = f"order.{uuid4().hex[:8]}"
    with Client(dev.url) as client:
        for number in range(4):
            client.create(event=f"{family}.{number}", when={"in_seconds": 0}, target=moody, retry={"max_retries": 0})
        letters = await dead(client, f"{family}.*", 4)

        found = json.loads(
            squirrel("runs", "--event", f"{family}.*", "--status", "4xx", "--state", "failed", "-o", "json").stdout
        )
        assert len(found) == 4
        squirrel("dead-letters", "discard", letters[0].run, "--reason", "a test order")
        assert client.letter(letters[0].run).mark["reason"] == "a test order"

        _Moody.status = 200
        squirrel("replay", code=2)
        dry = squirrel("dead-letters", "replay", "--event", f"{family}.*", "--dry-run").stdout
        assert dry.startswith("3 would be called again")
        done = squirrel("dead-letters", "replay", "--event", f"{family}.*", "--rate", "100").stdout
        assert "succeeded: 3 done, 0 failed, 0 skipped of 3" in done
        await eventually(
            lambda: len(list(client.runs(event=f"{family}.*", state="succeeded"))) == 3, timeout_seconds=30
        )
        again = list(client.runs(event=f"{family}.*", state="succeeded"))
        assert {run.replay_of for run in again} == {letter.run for letter in letters[1:]}

        def marked() -> bool:
            shown = {letter.run: letter for letter in client.dead_letters(event=f"{family}.*")}
            return sorted(each.state for each in shown.values()) == ["discarded", "replayed", "replayed", "replayed"]

        await eventually(marked, timeout_seconds=30)
        assert squirrel("operations", "-o", "json").stdout.count(f'"event": "{family}.*"') == 1


async def test_an_operation_outlives_the_gateway_that_began_it(dev: DevInstance, moody: str) -> None:
    """kill -9 in the middle: the supervisor's next gateway misses it, goes on, and calls nothing twice."""
    event = f"order.{uuid4().hex[:8]}"
    async with AsyncClient(dev.url) as client:
        for _ in range(12):
            await client.create(event=event, when={"in_seconds": 0}, target=moody, retry={"max_retries": 0})
        with Client(dev.url) as other:
            letters = await dead(other, event, 12)
        _Moody.status = 200
        begun = await client.replay_runs({"event": event, "state": "failed"}, rate=2)

        async def is_under_way() -> bool:
            return (await client.operation(begun.id)).done >= 3

        await eventually(is_under_way, timeout_seconds=30)
        os.kill(service_pid(dev.pid, "gateway"), signal.SIGKILL)

        async def over() -> bool:
            try:
                return (await client.operation(begun.id)).is_over
            except ClientError:
                return False

        await eventually(over, timeout_seconds=90)
        ended = await client.operation(begun.id)
        assert (ended.state, ended.done, ended.failed, ended.skipped) == ("succeeded", 12, 0, 0)

        async def all_there() -> bool:
            return len([run async for run in client.runs(event=event, state="succeeded")]) >= 12

        await eventually(all_there, timeout_seconds=30)
        again = [run.replay_of async for run in client.runs(event=event, state="succeeded")]
    assert sorted(again) == sorted(letter.run for letter in letters)


async def test_an_operation_by_the_asynchronous_client(dev: DevInstance, moody: str) -> None:
    event = f"order.{uuid4().hex[:8]}"
    async with AsyncClient(dev.url) as client:
        for _ in range(3):
            await client.create(event=event, when={"in_seconds": 0}, target=moody, retry={"max_retries": 0})
        with Client(dev.url) as other:
            await dead(other, event, 3)
        assert (await client.replay_runs({"event": event, "status": 404}, dry_run=True)).matched == 3
        begun = await client.replay_runs({"event": event}, rate=0.05)
        assert (await client.cancel_operation(begun.id)).state in ("cancelling", "cancelled")

        async def over() -> bool:
            return (await client.operation(begun.id)).is_over

        await eventually(over, timeout_seconds=30)
        assert (await client.operation(begun.id)).state == "cancelled"

"""The client against a running product, and every example as a user runs it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from squirrel.client import AsyncClient, Client, Conflict, Invalid, NotFound, completions
from squirrel.runtime.local.jvm import free_port
from tests.dev_instance import DevInstance
from tests.eventually import eventually
from tests.system.cli.conftest import SECRET


@pytest.fixture
def client(dev: DevInstance) -> Iterator[Client]:
    with Client(dev.url, namespace="client") as made:
        yield made


async def test_a_schedules_life(client: Client, target: str) -> None:
    made = client.create(id="a", event="e", when={"in_seconds": 3600}, target=target, message={"n": 1}, tags=["t"])
    assert (
        client.create(
            id="a", event="e", when={"in_seconds": 3600}, target=target, message={"n": 1}, tags=["t"]
        ).revision
        == 1
    )
    assert made.next_run is not None
    with pytest.raises(Conflict):
        client.create(id="a", event="other", when={"in_seconds": 3600}, target=target)
    assert client.update("a", message={"n": 2}, if_match=1).revision == 2
    with pytest.raises(Conflict) as stale:
        client.update("a", message={"n": 3}, if_match=1)
    assert (stale.value.status, stale.value.kind) == (412, "stale_revision")
    assert client.pause("a").state == "paused"
    assert client.resume("a").state == "active"
    run = client.trigger("a")
    assert run.schedule_id == "a"
    await eventually(lambda: next(client.runs("a")).finished, 20)  # while it is in flight a delete answers so
    client.delete("a")
    assert client.get("a").state == "cancelled"
    with pytest.raises(NotFound):
        client.get("nobody")
    with pytest.raises(Invalid) as invalid:
        client.create(event="e", when={"cron": "61 * * * *"}, target=target)
    assert invalid.value.errors[0].field == "when.cron"


def test_many_are_created_in_chunks_and_listed_in_pages(client: Client, target: str) -> None:
    wanted = [{"id": f"m{n}", "event": "many", "when": {"in_seconds": 3600}, "target": target} for n in range(1100)]
    wanted[7] = {"id": "m7", "event": "many", "when": {"cron": "no"}, "target": target}
    results = list(client.create_many(wanted))
    assert [each.status for each in results if not each.ok] == [422]
    assert results[7].error is not None
    found = {each.id for each in client.schedules(event="many", page_items=500)}
    assert found == {f"m{n}" for n in range(1100)} - {"m7"}


async def test_completions_come_from_kafka(dev: DevInstance, target: str) -> None:
    async with AsyncClient(dev.url, namespace="streamed") as client, asyncio.timeout(60):
        made = await client.create(event="stream.one", when={"in_seconds": 0.2}, target=target)
        stream = completions(dev.kafka, namespace="streamed", event="stream.*", group="reader")
        found = await anext(stream)
        await stream.aclose()
        assert (found.schedule_id, found.state, found.status) == (made.id, "succeeded", 204)
        await eventually(lambda: _succeeded(client, made.id), 20)  # the history is written a moment after
        run = await client.run(found.run)
        assert run.finished == found.finished


async def test_what_happens_is_streamed_live(dev: DevInstance, target: str) -> None:
    async with AsyncClient(dev.url, namespace="live") as client, asyncio.timeout(60):
        stream = client.stream(event="live.*")
        first = asyncio.ensure_future(anext(stream))
        made = None
        while not first.done():  # the stream begins with the first connection, so runs are made until it shows one
            made = await client.create(event="live.one", when={"in_seconds": 0}, target=target)
            await asyncio.wait({first}, timeout=1)
        assert made is not None
        assert first.result().event == "live.one"
        seen = {first.result().kind}
        while "completion" not in seen:
            seen.add((await anext(stream)).kind)
        assert seen <= {"result", "completion"}
        await stream.aclose()


@pytest.mark.parametrize("name", ["python_sync.py", "python_async.py"])
def test_python_examples(name: str, root: Path, environment: dict[str, str]) -> None:
    said = run([sys.executable, str(root / "examples" / name)], {**environment, "COUNT": "200"})
    assert said.splitlines()[-1].startswith({"python_sync.py": "too late", "python_async.py": "all of them"}[name])


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
def test_node_example(root: Path, environment: dict[str, str]) -> None:
    assert "succeeded, answered 204" in run(["node", str(root / "examples" / "node_fetch.mjs")], environment)


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no go here")
def test_go_example(root: Path, environment: dict[str, str], tmp_path: Path) -> None:
    caches = {"GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    said = run(["go", "run", "-C", str(root / "examples" / "go"), "."], {**environment, **caches})
    assert "succeeded, answered 204" in said


async def test_receiver_example_takes_what_is_signed(dev: DevInstance, root: Path, environment: dict[str, str]) -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--app-dir",
        str(root / "examples"),
        "receiver_fastapi:app",
        "--port",
        str(port),
    ]
    with subprocess.Popen(
        command, env={**environment, "SQUIRREL_SECRET": SECRET}, stderr=subprocess.DEVNULL
    ) as receiver:
        try:
            async with AsyncClient(f"http://127.0.0.1:{port}", tries_max=1) as web:
                await eventually(lambda: _answers(web), 30)
            async with AsyncClient(dev.url, namespace="receiver") as client:
                for path, event in (("/hook", "any.thing"), ("/events/", "email.send")):
                    url = f"http://127.0.0.1:{port}{path}"
                    made = await client.create(event=event, when={"in_seconds": 0.1}, target=url, message={"to": "ada"})
                    await eventually(lambda made=made: _succeeded(client, made.id), 30)
                assert subprocess.run(
                    [shutil.which("curl") or "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-XPOST", "-d{}",
                     f"http://127.0.0.1:{port}/hook"], capture_output=True, text=True, check=True,
                ).stdout == "401"  # fmt: skip
        finally:
            receiver.terminate()


async def _answers(web: AsyncClient) -> bool:
    try:
        return bool(await web.call("GET", "/openapi.json"))
    except Exception as error:
        raise AssertionError(str(error)) from error


async def _succeeded(client: AsyncClient, schedule_id: str) -> bool:
    return [each.state async for run in client.runs(schedule_id) for each in run.attempts] == ["succeeded"]


def run(command: list[str], environment: dict[str, str]) -> str:
    """What it printed; fails with what it complained about."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

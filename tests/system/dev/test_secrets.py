"""Canary: a marker in a header, a token, a signing secret and a named secret reaches its target, and stands nowhere else.

And a dead host: its circuit opens, what is due is put off and costs no retry, people can see it and close it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from squirrel.executor.breaker import FAILURES_IN_A_ROW
from squirrel.runtime.local.jvm import free_port
from squirrel.testing import Line, Received, Target, answer
from tests.dev_instance import DevInstance
from tests.eventually import eventually

CANARY = "canary4711secretmarker"


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[DevInstance]:
    async with DevInstance(tmp_path / "data") as instance:
        yield instance


def holding(folder: Path, marker: bytes) -> list[str]:
    """The files under a folder that hold the marker."""
    return [
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and marker in path.read_bytes()
    ]


async def echo(line: Line, received: Received) -> bool:
    """Answers with all it was told, as a debugging endpoint does."""
    told = "\n".join(f"{name}: {value}" for name, value in received.headers)
    return await answer(200, told.encode(), (("x-echo", received.header("authorization") or ""),))(line, received)


async def test_a_marker_in_secrets_stands_nowhere(dev: DevInstance) -> None:
    async with Target(echo) as target, httpx.AsyncClient(base_url=dev.url, timeout=30) as api:
        named = await api.put("/api/v1/secrets/key", json={"value": f"{CANARY}-named"})
        assert named.status_code == 201, named.text
        targets: list[dict[str, Any]] = [
            {"url": target.url, "headers": {"Authorization": f"Bearer {CANARY}", "X-Api-Key": {"secret": "key"}}},
            {"url": target.url, "auth": {"type": "bearer", "token": CANARY}},
            {"type": "slack", "url": f"{target.url}/{CANARY}"},
            {"url": "http://127.0.0.1:9/never", "headers": {"Cookie": CANARY}},
        ]
        answers = [named.text]
        for each in targets:
            body = {
                "event": "a.b", "when": {"in_seconds": 0}, "target": each, "retry": {"max_retries": 1, "initial_seconds": 0.1},
            }  # fmt: skip
            made = await api.post("/api/v1/schedules", json=body)
            assert made.status_code == 201, made.text
            answers.append(made.text)
            path = f"/api/v1/schedules/{made.json()['id']}"

            async def finished(path: str = path) -> bool:
                items = (await api.get(f"{path}/runs")).json()["items"]
                return bool(items) and items[0]["state"] in ("succeeded", "failed")

            await eventually(finished, timeout_seconds=40)
            answers += [(await api.get(path)).text, (await api.get(f"{path}/runs")).text]
        answers += [
            (await api.get(each)).text
            for each in ("/api/v1/dead-letters", "/api/v1/stats", "/metrics", "/api/v1/secrets")
        ]
        wrong = {
            "event": "a.b",
            "when": {"in_seconds": 0},
            "target": {"url": "ftp://x", "headers": {"Authorization": CANARY}},
        }
        answers.append((await api.post("/api/v1/schedules", json=wrong)).text)
        assert target.requests[0].header("authorization") == f"Bearer {CANARY}"
        assert target.requests[0].header("x-api-key") == f"{CANARY}-named"
        assert any(CANARY in each.line for each in target.requests)
    await dev.stop()
    assert not [each for each in answers if CANARY in each]
    assert not [line for line in dev.lines if CANARY in line]
    assert holding(dev.data_dir, b"/hook"), "the search finds what is there"
    assert holding(dev.data_dir, CANARY.encode()) == []
    assert (dev.data_dir / "encryption.key").stat().st_mode & 0o077 == 0


async def test_a_dead_host_is_put_off_shown_and_called_again(dev: DevInstance) -> None:
    port = free_port()
    name = f"http:127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=dev.url, timeout=30) as api:
        body = {
            "event": "a.b", "when": {"in_seconds": 0}, "target": {"url": f"http://127.0.0.1:{port}/hook"},
            "retry": {"max_retries": 3, "strategy": "fixed", "initial_seconds": 0.05, "jitter": 0},
        }  # fmt: skip
        results = (await api.post("/api/v1/schedules:batch", json={"schedules": [body] * 2 * FAILURES_IN_A_ROW})).json()
        ids = [each["id"] for each in results["results"]]

        async def opened() -> bool:
            items = (await api.get("/api/v1/breakers")).json()["items"]
            return any(each["name"] == name and each["put_off"] > 0 for each in items)

        await eventually(opened, timeout_seconds=40)
        server = await asyncio.start_server(_ok, "127.0.0.1", port)
        async with server:
            closed = await api.post(f"/api/v1/breakers/{name}:close")
            assert closed.status_code == 200, closed.text

            async def all_succeeded() -> bool:
                found = [(await api.get(f"/api/v1/schedules/{each}/runs")).json()["items"] for each in ids]
                return all(items and items[0]["state"] == "succeeded" for items in found)

            await eventually(all_succeeded, timeout_seconds=60)
        assert (await api.get("/api/v1/dead-letters")).json()["items"] == []
        assert (await api.get("/api/v1/breakers")).json()["items"] == []


async def _ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    writer.close()

"""The door that probes, Prometheus and gateways knock at."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from squirrel.runtime.internal_door import InternalDoor, _reachable
from squirrel.wire.owner_link import PATH


class Reason:
    """Why the service is not ready, or None."""

    now: str | None = "recovering partitions [3]"


@pytest.fixture
async def door() -> AsyncIterator[InternalDoor]:
    opened = InternalDoor("127.0.0.1", 0, ready=lambda: Reason.now, metrics=lambda: b"squirrel_up 1\n", token="shared")

    async def answer(body: bytes) -> bytes:
        if body == b"nonsense":
            raise ValueError("no list")
        return body + b"!"

    opened.answer_asks(answer)
    await opened.start()
    yield opened
    await opened.stop()
    await opened.stop()


async def test_probes_need_no_token_and_readiness_says_why_not(
    door: InternalDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with httpx.AsyncClient(base_url=door.url) as client:
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        waiting = await client.get("/readyz")
        assert (waiting.status_code, waiting.json()["status"]) == (503, "recovering partitions [3]")
        monkeypatch.setattr(Reason, "now", None)
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/metrics")).text == "squirrel_up 1\n"


@pytest.mark.parametrize(
    ("given", "status"), [("Bearer shared", 200), ("shared", 200), ("Bearer other", 401), ("", 401)]
)
async def test_asks_need_the_token(door: InternalDoor, given: str, status: int) -> None:
    async with httpx.AsyncClient(base_url=door.url) as client:
        answer = await client.post(PATH, content=b"ask", headers={"authorization": given})
        assert answer.status_code == status
        assert (answer.content == b"ask!") == (status == 200)


async def test_what_is_no_list_of_asks_is_refused(door: InternalDoor) -> None:
    async with httpx.AsyncClient(base_url=door.url, headers={"authorization": "Bearer shared"}) as client:
        assert (await client.post(PATH, content=b"nonsense")).status_code == 400


@pytest.mark.parametrize(
    ("bound", "told"),
    [
        ("0.0.0.0", socket.gethostname()),
        ("::", socket.gethostname()),
        ("10.1.2.3", "10.1.2.3"),
        ("fd00::1", "[fd00::1]"),
    ],
)
def test_others_are_told_an_address_they_can_reach(bound: str, told: str) -> None:
    assert _reachable(bound) == told

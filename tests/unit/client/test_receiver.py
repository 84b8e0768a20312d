"""The receiver's side: signatures made by the published library and by our own signer; what is changed, old or foreign."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from squirrel.client.receiver import Later, NotVerified, Received, Receiver, Stop, verified, verify
from squirrel.client.receiver.handlers import BODY_BYTES_MAX
from squirrel.model.signing import parse_secrets, signatures

SECRET = "whsec_" + b64encode(b"s" * 32).decode()
OTHER = "whsec_" + b64encode(b"o" * 32).decode()
NOW = 1_800_000_000
VERIFIED = verified(SECRET, now=lambda: NOW)  # FastAPI reads annotations by name, from the module


def signed(body: bytes, *secrets: str, at: int = NOW, event: str = "email.send") -> dict[str, str]:
    keys = parse_secrets(secrets or (SECRET,))
    return {
        "Webhook-Id": "run_1", "webhook-timestamp": str(at), "webhook-signature": signatures(keys, "run_1", at, body),
        "squirrel-event": event, "squirrel-attempt": "2", "squirrel-schedule-id": "a",
    }  # fmt: skip


@given(st.text(max_size=200))
def test_the_published_library_is_verified(body: str) -> None:
    payload = body.encode("utf-8", "replace")
    signature = Webhook(SECRET).sign("run_1", datetime.fromtimestamp(NOW, UTC), payload.decode())
    headers = {"webhook-id": "run_1", "webhook-timestamp": str(NOW), "webhook-signature": signature}
    assert verify(headers, payload, SECRET, NOW).id == "run_1"


def test_what_was_received_is_said() -> None:
    call = verify(signed(b'{"n": 1}'), b'{"n": 1}', [SECRET], NOW + 299)
    assert (call.id, call.event, call.attempt, call.schedule_id, call.message) == (
        "run_1",
        "email.send",
        2,
        "a",
        {"n": 1},
    )


def test_either_secret_does_while_they_rotate() -> None:
    assert verify(signed(b"{}", OTHER, SECRET), b"{}", SECRET, NOW).id == "run_1"
    assert verify(signed(b"{}", SECRET), b"{}", [OTHER, SECRET], NOW).id == "run_1"


@pytest.mark.parametrize(
    ("headers", "body", "secrets", "now", "why"),
    [
        (signed(b"{}"), b"{ }", SECRET, NOW, "not made with"),
        (signed(b"{}", OTHER), b"{}", SECRET, NOW, "not made with"),
        ({**signed(b"{}"), "Webhook-Id": "run_2"}, b"{}", SECRET, NOW, "not made with"),
        ({**signed(b"{}"), "webhook-timestamp": str(NOW + 1)}, b"{}", SECRET, NOW, "not made with"),
        ({**signed(b"{}"), "webhook-signature": "v1,\u00e9"}, b"{}", SECRET, NOW, "not made with"),
        (signed(b"{}"), b"{}", SECRET, NOW + 301, "from our clock"),
        (signed(b"{}"), b"{}", SECRET, NOW - 301, "from our clock"),
        (signed(b"{}"), b"{}", SECRET, float("nan"), "from our clock"),
        ({**signed(b"{}"), "webhook-timestamp": "soon"}, b"{}", SECRET, NOW, "number"),
        ({}, b"{}", SECRET, NOW, "webhook-id is missing"),
        (signed(b"{}"), b"{}", [], NOW, "no secret"),
    ],
)
def test_refused(headers: dict[str, str], body: bytes, secrets: Any, now: float, why: str) -> None:
    with pytest.raises(NotVerified, match=why):
        verify(headers, body, secrets, now)


def receiver() -> tuple[Receiver, list[Received]]:
    made = Receiver(SECRET, now=lambda: NOW)
    seen: list[Received] = []

    @made.on("email.send")
    async def send(call: Received) -> None:
        seen.append(call)

    @made.on("email.sync")
    def plain(call: Received) -> None:
        seen.append(call)

    @made.on("later.*")
    def later(call: Received) -> None:
        raise Later(7)

    @made.on("stop")
    def stop(call: Received) -> None:
        raise Stop

    @made.on("fail")
    def fail(call: Received) -> None:
        raise ValueError("secret detail")

    return made, seen


CASES = [("email.send", 204), ("email.sync", 204), ("later.x.y", 503), ("stop", 410), ("fail", 500), ("unknown", 404)]


@pytest.mark.parametrize(("event", "status"), CASES)
async def test_asgi(event: str, status: int) -> None:
    made, seen = receiver()
    transport = httpx.ASGITransport(app=made.asgi)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as http:
        answer = await http.post("/", content=b"{}", headers=signed(b"{}", event=event))
        assert (answer.status_code, len(seen)) == (status, int(status == 204))
        assert answer.headers.get("retry-after") == ("7" if status == 503 else None)
        assert "secret detail" not in answer.text
        assert (await http.post("/", content=b"{}")).status_code == 401
        assert (await http.get("/")).status_code == 405
        assert (await http.post("/", content=b"x" * (BODY_BYTES_MAX + 1))).status_code == 413


@pytest.mark.parametrize(("event", "status"), CASES)
def test_wsgi(event: str, status: int) -> None:
    made, seen = receiver()
    transport = httpx.WSGITransport(app=made.wsgi)  # type: ignore[arg-type]
    with httpx.Client(transport=transport, base_url="http://receiver") as http:
        headers = {**signed(b"{}", event=event), "content-length": "2"}
        assert http.post("/", content=b"{}", headers=headers).status_code == status
        assert len(seen) == int(status == 204)
        assert http.post("/", content=b"{}").status_code == 401


async def test_fastapi_dependency() -> None:
    app = FastAPI()

    @app.post("/hook")
    async def hook(call: Annotated[Received, Depends(VERIFIED)]) -> dict[str, object]:
        return {"run": call.id, "message": call.message}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://receiver") as http:
        good = await http.post("/hook", content=b"[1]", headers=signed(b"[1]"))
        bad = await http.post("/hook", content=b"[2]", headers=signed(b"[1]"))
    assert (good.status_code, good.json()) == (200, {"run": "run_1", "message": [1]})
    assert bad.status_code == 401


async def test_lifespan_is_answered() -> None:
    made, _ = receiver()
    kinds = ["lifespan.startup", "lifespan.shutdown"]
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": kinds.pop(0)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await asyncio.wait_for(made.asgi({"type": "lifespan"}, receive, send), 5)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

"""A target that answers 202 and keeps its promise later, with the token of the attempt; or does not."""

from __future__ import annotations

import logging
from typing import Any

import httpx

from squirrel.testing.behaviours import answer
from squirrel.testing.target import Behaviour, Line, Received

TOKEN_HEADER = "squirrel-completion-token"
log = logging.getLogger(__name__)


def promise(
    gateway: str, after_seconds: float = 0.0, ending: dict[str, Any] | None = None, *, heartbeats: int = 0
) -> Behaviour:
    """202, then so many `:heartbeat`s over `after_seconds`, then `POST {gateway}/api/v1/runs/{run}:complete` with `ending`.

    Without `ending` it is `{"outcome": "success"}`.
    """
    body = {"outcome": "success"} if ending is None else ending

    async def behave(line: Line, received: Received) -> bool:
        going_on = await answer(202, b"")(line, received)
        line.target.later(_keep(line, received, gateway, after_seconds, body, heartbeats))
        return going_on

    return behave


def broken_promise() -> Behaviour:
    """202 and never a word again."""
    return answer(202, b"")


async def _keep(
    line: Line, received: Received, gateway: str, after_seconds: float, body: dict[str, Any], heartbeats: int
) -> None:
    url = f"{gateway.rstrip('/')}/api/v1/runs/{received.header('webhook-id')}"
    headers = {TOKEN_HEADER: received.header(TOKEN_HEADER) or ""}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
        for _ in range(heartbeats):
            await line.target.pause(after_seconds / (heartbeats + 1))
            await client.post(f"{url}:heartbeat")
        await line.target.pause(after_seconds / (heartbeats + 1))
        if line.target.stopping.is_set():
            return
        answered = await client.post(f"{url}:complete", json=body)
        log.info("completed %s: %d", url, answered.status_code)

"""The twin of a target and the network before it: it receives, answers by script, and writes down what it saw."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

import orjson

from squirrel.wire.attempt import Attempt, Outcome
from tests.simulation.loop import CURRENT


class Target:
    """In place of the executor's HTTP client: one request on the wire per call."""

    def __init__(self, *_: object) -> None:
        self._process: Any = CURRENT.get()

    async def close(self) -> None:
        return

    async def call(self, attempt: Attempt) -> Outcome:
        process = self._process
        world = process.world
        process.point("call before")
        started_ms = process.clock.now_ms()
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[int | None] = loop.create_future()
        # The request is on the wire: it arrives whatever becomes of its sender.
        lines: list[dict[str, Any]] = []
        loop.call_later(world.latency(), self._receive, attempt, answered, lines, context=Context())
        process.point("call sent")
        try:
            async with asyncio.timeout(attempt.target.timeout_ms / 1000):
                status = await answered
        except TimeoutError:
            for line in lines:
                line["ended_ns"] = world.boot_ns()  # the caller hung up
            return self._failed(started_ms, "timeout", "the target did not answer in time")
        process.point("call answered")
        if status is None:
            return self._failed(started_ms, "disconnected", "the target hung up")
        if 200 <= status < 300:
            return Outcome("succeeded", started_ms, process.clock.now_ms(), status)
        if status == 410:
            return Outcome("gone", started_ms, process.clock.now_ms(), status, error_type="status", error_detail="410")
        return Outcome(
            "failed",
            started_ms,
            process.clock.now_ms(),
            status,
            error_type="status",
            error_detail=f"the target answered {status}",
            retryable=status >= 500,
        )

    def _failed(self, started_ms: int, kind: Any, detail: str) -> Outcome:
        return Outcome(
            "failed",
            started_ms,
            self._process.clock.now_ms(),
            error_type=kind,
            error_detail=detail,
            retryable=True,
        )

    def _receive(self, attempt: Attempt, answered: asyncio.Future[int | None], lines: list[dict[str, Any]]) -> None:
        world = self._process.world
        status, seconds = world.script(attempt)
        line: dict[str, Any] = {
            "mono_ns": world.boot_ns(),
            "wall_ms": world.wall_ms(),
            "run": attempt.run_id,
            "attempt": attempt.number,
            "schedule_id": attempt.schedule_id,
            "due_ms": attempt.due_ms,
            "body": orjson.loads(attempt.message),
            "status": None,
            "ended_ns": None,
        }
        world.sink.append(line)
        lines.append(line)
        asyncio.get_running_loop().call_later(seconds, self._answer, line, status, answered, context=Context())

    def _answer(self, line: dict[str, Any], status: int | None, answered: asyncio.Future[int | None]) -> None:
        world = self._process.world
        if line["ended_ns"] is not None:
            return
        line["ended_ns"] = world.boot_ns()
        line["status"] = status
        if self._process.dead:
            return

        def arrive() -> None:
            if not answered.done():
                answered.set_result(status)

        asyncio.get_running_loop().call_later(world.latency(), arrive, context=Context())

"""Webhooks: one attempt is one request on the wire, over a connection to an address that was checked for it."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, Literal

from squirrel.executor.connection import Answer
from squirrel.executor.guard import Failure, Guard
from squirrel.executor.lending import lend
from squirrel.executor.pool import Pool
from squirrel.executor.targets.request import Prepared, prepare, request_bytes
from squirrel.executor.targets.verdict import failure_is_retryable, retry_after_ms, state_of, status_is_retryable
from squirrel.model.clock import Clock
from squirrel.model.errors import Refused
from squirrel.model.target import HttpTarget
from squirrel.wire.attempt import Attempt, Outcome

PREPARED_KEPT_MAX: Final = 4096
PROMISED: Final = 202
Ending = Literal["succeeded", "failed", "gone", "promised"]
PREPARED_CHARS_MAX: Final = 4096  # longer heads are made anew each time, so what is kept stays below 16 MiB


class HttpCaller:
    """Calls `HttpTarget`s. One per process; it owns the pool, not the guard."""

    def __init__(self, guard: Guard, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._clock = clock
        self._tls = tls or ssl.create_default_context()
        self._pool = Pool()
        self._prepared: dict[HttpTarget, Prepared] = {}

    async def close(self) -> None:
        """Drops the idle connections; a call in flight ends by its own deadline or cancellation. Safe twice."""
        self._pool.close()

    async def call(self, attempt: Attempt) -> Outcome:
        """One request, one outcome, by `target.timeout_ms` from now over DNS, connect, TLS, head and body together."""
        started_ms = self._clock.now_ms()
        target = attempt.target
        assert isinstance(target, HttpTarget), "the shell sends each target type to its own caller"
        deadline = asyncio.get_running_loop().time() + target.timeout_ms / 1000
        try:
            prepared = self._prepared.get(target) or self._prepare(target)
        except Refused as refused:
            return self._failed(Failure("bad_target", str(refused)), started_ms)
        ending = await self._exchange(prepared, attempt, target, started_ms, deadline)
        if isinstance(ending, Failure):
            return self._failed(ending, started_ms)
        return self._answered(ending, started_ms, target)

    async def _exchange(
        self, prepared: Prepared, attempt: Attempt, target: HttpTarget, now_ms: int, deadline: float
    ) -> Answer | Failure:
        lent = await lend(prepared.url, self._guard.of(attempt.namespace), self._pool, self._tls, deadline)
        if isinstance(lent, Failure):
            return lent
        body = target.body if target.body is not None else attempt.message if prepared.sends_message else b""
        try:
            request = request_bytes(prepared, attempt, body, now_ms)
            ending = await lent.exchange(request, deadline, prepared.is_head)
        except BaseException:
            lent.abort()  # cancelled in the middle: the connection can carry nothing else
            raise
        self._pool.give(lent, asyncio.get_running_loop().time())
        return ending

    def _prepare(self, target: HttpTarget) -> Prepared:
        prepared = prepare(target)
        if len(prepared.head) + len(target.body or b"") <= PREPARED_CHARS_MAX:
            if len(self._prepared) >= PREPARED_KEPT_MAX:
                self._prepared.pop(next(iter(self._prepared)))
            self._prepared[target] = prepared
        return prepared

    def _failed(self, failure: Failure, started_ms: int) -> Outcome:
        return Outcome(
            state="failed",
            started_ms=started_ms,
            finished_ms=self._clock.now_ms(),
            status=failure.status,
            error_type=failure.error_type,
            error_detail=failure.detail,
            retryable=failure_is_retryable(failure.error_type),
        )

    def _answered(self, answer: Answer, started_ms: int, target: HttpTarget) -> Outcome:
        finished_ms = self._clock.now_ms()
        headers: dict[str, str] = {}
        for raw_name, raw_value in answer.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        state: Ending = state_of(answer.status, target.success_below)
        if state == "gone" and target.retry_4xx:
            state = "failed"
        succeeded = state == "succeeded"
        if answer.status == PROMISED and target.completion_timeout_ms is not None:
            state = "promised"
        return Outcome(
            state=state,
            started_ms=started_ms,
            finished_ms=finished_ms,
            status=answer.status,
            headers=headers,
            body=answer.body,
            truncated=answer.truncated,
            error_type=None if succeeded else "status",
            error_detail="" if succeeded else f"the target answered {answer.status}",
            retry_after_ms=retry_after_ms(answer.status, headers.get("retry-after"), finished_ms),
            retryable=state == "failed" and (target.retry_4xx or status_is_retryable(answer.status)),
        )

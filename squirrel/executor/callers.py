"""Which caller a target goes to, and the host whose window it counts against."""

from __future__ import annotations

from squirrel.executor.targets import TargetCaller
from squirrel.model.clock import Clock
from squirrel.model.target import HttpTarget, KafkaTarget, Target
from squirrel.wire.attempt import Attempt, Outcome


class Callers:
    """One caller per target type. `call` answers with an outcome whatever the target is."""

    def __init__(self, clock: Clock, http: TargetCaller, kafka: TargetCaller) -> None:
        self._clock = clock
        self._http = http
        self._kafka = kafka

    async def call(self, attempt: Attempt) -> Outcome:
        """As the target's own caller; a type without one is a failure that no repeat mends."""
        target = attempt.target
        if isinstance(target, HttpTarget):
            return await self._http.call(attempt)
        if isinstance(target, KafkaTarget):
            return await self._kafka.call(attempt)
        now_ms = self._clock.now_ms()
        return Outcome(
            "failed",
            now_ms,
            now_ms,
            error_type="bad_target",
            error_detail=f"this executor has no target type {target.kind!r}; install its plugin or change the target",
        )

    async def close(self) -> None:
        """Closes them all. Safe twice."""
        await self._http.close()
        await self._kafka.close()


def host_of(target: Target) -> str:
    """Scheme, host and port of a webhook; everything else has one name per type, which no host can have."""
    if isinstance(target, HttpTarget):
        scheme, _, rest = target.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"
    return "kafka:" if isinstance(target, KafkaTarget) else f"plugin:{target.kind}"

"""Which caller a target goes to, and the host whose window it counts against."""

from __future__ import annotations

from dataclasses import dataclass

from squirrel.executor.targets import TargetCaller
from squirrel.executor.targets.secured import is_secured
from squirrel.model.target import HttpTarget, KafkaTarget, Target
from squirrel.wire.attempt import Attempt, Outcome
from squirrel.wire.documents.plugin_target import place_of
from squirrel.wire.target_types.registry import installed_types


@dataclass(frozen=True, slots=True)
class Callers:
    """One caller per kind of target. `call` answers with an outcome whatever the target is."""

    http: TargetCaller
    secured: TargetCaller  # webhooks that hold secrets
    kafka: TargetCaller
    plugins: TargetCaller  # every other type

    async def call(self, attempt: Attempt) -> Outcome:
        """As the target's own caller."""
        target = attempt.target
        if isinstance(target, HttpTarget):
            if (target.headers or target.security is not None) and is_secured(target):
                return await self.secured.call(attempt)
            return await self.http.call(attempt)
        if isinstance(target, KafkaTarget):
            return await self.kafka.call(attempt)
        return await self.plugins.call(attempt)

    async def close(self) -> None:
        """Closes them all. Safe twice."""
        for each in (self.http, self.secured, self.kafka, self.plugins):
            await each.close()


def host_of(target: Target) -> str:
    """Scheme, host and port of a webhook; everything else begins with its type, which no scheme of a webhook is."""
    if isinstance(target, HttpTarget):
        scheme, _, rest = target.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"
    return "kafka:" if isinstance(target, KafkaTarget) else place_of(target, installed_types())

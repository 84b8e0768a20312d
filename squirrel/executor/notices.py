"""Notifications to the people who run this installation: through the same targets, guard and limits as everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from squirrel.executor.callers import Callers
from squirrel.model.clock import Clock
from squirrel.model.target import Target
from squirrel.wire.attempt import Attempt

EVENT: Final = "squirrel.notice"


class Notices:
    """`tell` calls every target once; one that fails is a line in the log and never an error."""

    def __init__(self, callers: Callers, targets: Sequence[Target], clock: Clock, log: Any) -> None:
        self._callers = callers
        self._targets = tuple(targets)
        self._clock = clock
        self._log = log

    async def tell(self, namespace: str, title: str, text: str) -> None:
        """`title` is a line, `text` a few sentences; neither holds a secret."""
        now_ms = self._clock.now_ms()
        message = orjson.dumps({"subject": title, "text": f"{title}\n{text}", "namespace": namespace})
        self._log.warning("notice", title=title, namespace=namespace)
        for index, target in enumerate(self._targets):
            attempt = Attempt(f"notice_{now_ms}_{index}", "notice", namespace, EVENT, 1, now_ms, target, message)
            outcome = await self._callers.call(attempt)
            if outcome.state != "succeeded":
                self._log.error("a notification failed", target=index, reason=outcome.error_detail)

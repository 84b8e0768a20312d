"""Rare paths that a run must have reached: a promise that was never in danger was not tested."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from tests.chaos.ending import Ending
from tests.chaos.installation import Installation
from tests.judge.history import History
from tests.judge.lives import lives_of

SCRAPE_SECONDS: Final = 1.0
COUNTERS: Final = {
    "repeats_dropped": "a duplicate was dropped by an executor",
    "stale_epochs_dropped": "an execution of a stale epoch was dropped",
    "replays": "a command or result that had been applied before",
    "poison": "a record nobody can read was set aside",
    "dead_letters": "a run used up its attempts",
}
LOGGED: Final = {
    "local state is rebuilt from the changelog": "local state was rebuilt",
    "ended by the watchdog": "a watchdog ended its process",
}
# Of the short form only what its clients bring about by themselves: which faults it meets is for its seed to say.
EVERY_RUN: Final = (
    COUNTERS["dead_letters"],
    "catch-up by run_all",
    "catch-up by run_last",
    "catch-up by skip",
)
LONG_RUN: Final = (
    *EVERY_RUN,
    COUNTERS["repeats_dropped"],
    COUNTERS["poison"],
    "409 on cancel",
    "204 on cancel",
    "a create without an answer",
    *LOGGED.values(),
    COUNTERS["replays"],  # a stale epoch is no longer among them: a fenced owner's records do not reach the log
    "a create without an answer was accepted",
    "a call was repeated",
)


class Watching:
    """Scrapes the counters of all services all the time, for a killed process takes its own along."""

    def __init__(self, on: Installation) -> None:
        self._on = on
        self._last: dict[tuple[str, int, str], float] = {}

    async def watch(self, ending: Ending) -> None:
        while not ending.over:
            await self.scrape()
            await ending.pause(SCRAPE_SECONDS)

    async def scrape(self) -> None:
        services = list(self._on.services.values())
        lives = [service.lives for service in services]
        found = await asyncio.gather(*(self._on.metrics(service) for service in services))
        for service, life, metrics in zip(services, lives, found, strict=True):
            for name, value in metrics.items():
                self._last[service.name, life, name] = value

    def total(self, name: str) -> int:
        return int(sum(value for (_, _, each), value in self._last.items() if each == name))


def reached(watching: Watching, logs: Path, history: History) -> dict[str, int]:
    """How often each rare path was seen, by metrics, logs and the judge's own files."""
    found: dict[str, int] = defaultdict(int)
    for name, sentence in COUNTERS.items():
        found[sentence] = watching.total(name)
    for log in logs.glob("*.log"):
        text = log.read_text(encoding="utf-8", errors="replace")
        for phrase, sentence in LOGGED.items():
            found[sentence] += len(re.findall(re.escape(phrase), text))
    for life in lives_of(history).values():
        if life.create.outcome == "info":
            found["a create without an answer"] += 1
            found["a create without an answer was accepted"] += life.id in history.calls_of
    seen: set[tuple[str, int]] = set()
    for call in history.calls:
        found["a call was repeated"] += (call.run, call.attempt) in seen
        seen.add((call.run, call.attempt))
    return found

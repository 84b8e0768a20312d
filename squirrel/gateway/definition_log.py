"""Writing calendars and templates to the definitions topic, within what every process that follows it can hold."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from squirrel.gateway.problems import Answered
from squirrel.gateway.producing import CommandLog
from squirrel.model.limits import MIB
from squirrel.wire.route_book import DEFINITIONS_PARTITION, Definitions

VISIBLE_SECONDS_MAX: Final = 5.0  # for our own reading of the topic to reach what we wrote
DEFINITIONS_BYTES_TAKEN_MAX: Final = 48 * MIB  # followers end at 64 MiB: what is taken here stays well below
DEFINITIONS_TAKEN_MAX: Final = 90_000  # and at 100,000
log = logging.getLogger(__name__)


class DefinitionLog:
    """A write returns once this gateway itself reads it back, so that the next create sees it."""

    def __init__(self, writes: CommandLog, definitions: Definitions) -> None:
        self._writes = writes
        self._definitions = definitions

    async def write(self, key: str, value: bytes | None) -> None:
        """None removes. Raises Answered when the topic is full, Unavailable when Kafka did not take it."""
        if value is not None:
            self._check_room(len(value))
        offset = await self._writes.write(DEFINITIONS_PARTITION, [(key.encode(), value, ())])
        try:
            async with asyncio.timeout(VISIBLE_SECONDS_MAX):
                await self._definitions.reached(offset)
        except TimeoutError:
            log.warning("the definitions topic is read with more than %g s delay", VISIBLE_SECONDS_MAX)

    def _check_room(self, size: int) -> None:
        values = self._definitions.values
        if len(values) >= DEFINITIONS_TAKEN_MAX:
            raise _full(f"{DEFINITIONS_TAKEN_MAX} definitions")
        if size + sum(len(key) + len(value) for key, value in values.items()) > DEFINITIONS_BYTES_TAKEN_MAX:
            raise _full(f"{DEFINITIONS_BYTES_TAKEN_MAX} bytes")


def _full(limit: str) -> Answered:
    return Answered(
        "invalid", f"calendars, templates, routes and listeners together may have {limit}; delete some first"
    )

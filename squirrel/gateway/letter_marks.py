"""What people make of dead letters, written beside the letters; the recorder brings it into the history."""

from __future__ import annotations

from squirrel.gateway.lookups import Lookups
from squirrel.gateway.producing import CommandLog
from squirrel.model.clock import Clock
from squirrel.model.instants import format_instant
from squirrel.stores.history import DeadLetterRecord, LetterMark
from squirrel.wire.letter_marks import DeadLetterMark, encode_mark
from squirrel.wire.public import cloud_event_headers


class LetterMarks:
    """Appends marks to the dead-letters topic."""

    def __init__(self, clock: Clock, log: CommandLog, lookups: Lookups) -> None:
        self._clock = clock
        self._log = log
        self._lookups = lookups

    async def write(
        self, letter: DeadLetterRecord, state: str, *, reason: str = "", actor: str = "", replayed_as: str = ""
    ) -> LetterMark:
        """The mark, acknowledged by Kafka. Raises Unavailable."""
        former = letter.mark.marked_ms if letter.mark is not None else 0
        now_ms = max(self._clock.now_ms(), former + 1)  # the newest counts, whatever two gateways' clocks say
        mark = DeadLetterMark(
            mark=state,
            run=letter.run,
            schedule_id=letter.schedule_id,
            namespace=letter.namespace,
            at=format_instant(now_ms),
            at_ms=now_ms,
            reason=reason,
            actor=actor,
            replayed_as=replayed_as,
            retention_ms=letter.retention_ms,
        )
        headers = cloud_event_headers(
            f"dead-letter.{state}", letter.namespace, letter.schedule_id, f"{letter.run}-{state}-{now_ms}", now_ms
        )
        partition = self._lookups.home(letter.namespace, letter.schedule_id)
        await self._log.write(partition, [(letter.schedule_id.encode(), encode_mark(mark), headers)])
        return LetterMark(letter.namespace, letter.run, state, now_ms, reason, actor, replayed_as, letter.retention_ms)

"""Walking a rule's slots without holding up the other calls: in short stretches, and for a bounded time."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from squirrel.model.clock import Clock
from squirrel.recurrence import Rule

WALK_SECONDS_MAX: Final = 1.0  # of one answer; the costliest rule takes 5 ms a slot
STRETCH_SECONDS: Final = 0.005  # after which other calls get their turn


class Walked(NamedTuple):
    """Slots in epoch ms; `complete` is False when the time was up before all that were asked for were found."""

    slots: list[int]
    complete: bool


async def walk_slots(rule: Rule, from_ms: int, to_ms: int | None, count: int, clock: Clock) -> Walked:
    """The first `count` slots in [from, to). Raises RuleError for a rule that cannot be evaluated."""
    slots: list[int] = []
    after_ms = from_ms - 1
    ends_at = clock.monotonic() + WALK_SECONDS_MAX
    turn_at = clock.monotonic() + STRETCH_SECONDS
    while len(slots) < count:
        slot_ms = rule.next_after(after_ms)
        if slot_ms is None or (to_ms is not None and slot_ms >= to_ms):
            break
        slots.append(slot_ms)
        after_ms = slot_ms
        now = clock.monotonic()
        if now >= ends_at:
            return Walked(slots, len(slots) == count)
        if now >= turn_at:
            await asyncio.sleep(0)
            turn_at = clock.monotonic() + STRETCH_SECONDS
    return Walked(slots, True)

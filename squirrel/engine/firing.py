"""The firing loop of one partition: sleep until the next row on the timeline is due (less the emit-ahead), then take it off.

With emit ahead the loop may collect for a part of it: a run due in 100 ms loses nothing by being emitted 75 ms ahead, and at a
thousand runs a second that turns a thousand small writes into forty.
"""

from __future__ import annotations

import asyncio

from squirrel.engine.owner import Owner
from squirrel.model.limits import DUE_BATCH_MAX

IDLE_MS_MAX = 1_000  # a step of the wall clock is noticed within this time
COLLECT_PART = 4  # of the emit-ahead


async def fire_while_active(owner: Owner) -> None:
    """Runs until the owner leaves; an error ends the process (the task's owner sees to it)."""
    parts = owner.parts
    collect_seconds = parts.emit_ahead_ms / COLLECT_PART / 1000
    while owner.active:
        owner.woken.clear()
        taken = await owner.fire(DUE_BATCH_MAX)
        if taken >= DUE_BATCH_MAX:
            await asyncio.sleep(0)  # a backlog: lanes get their turn on the lock, then the next batch
            continue
        owner.note_alive()
        if taken and collect_seconds:
            await asyncio.sleep(collect_seconds)
        await _sleep_until_due(owner)


async def _sleep_until_due(owner: Owner) -> None:
    parts = owner.parts
    if not owner.active:
        return
    owner.next_wake_ms = parts.store.next_due_ms(owner.partition)
    delay_ms = IDLE_MS_MAX
    if owner.next_wake_ms is not None:
        delay_ms = min(delay_ms, owner.next_wake_ms - parts.emit_ahead_ms - parts.clock.now_ms())
    if delay_ms <= 0:
        return
    try:
        async with asyncio.timeout(delay_ms / 1000):
            await owner.woken.wait()
    except TimeoutError:
        return

"""The firing loop of one partition: sleep until the next row on the timeline is due (less the emit-ahead), then take it off.

With emit ahead the loop may collect for a part of it: a run due in 100 ms loses nothing by being emitted 67 ms ahead, and at a
thousand runs a second that turns a thousand small writes into thirty. All partitions collect to the same ticks, so that their
records share a request to the broker.
"""

from __future__ import annotations

import asyncio

from squirrel.engine.owner import Owner
from squirrel.model.limits import DUE_BATCH_MAX

IDLE_MS_MAX = 1_000  # a step of the wall clock is noticed within this time
COLLECT_PART = 3  # of the emit-ahead


async def fire_while_active(owner: Owner) -> None:
    """Runs until the owner leaves; an error ends the process (the task's owner sees to it)."""
    parts = owner.parts
    collect_seconds = parts.emit_ahead_ms / COLLECT_PART / 1000
    while owner.active:
        owner.woken.clear()
        taken = await owner.fire(DUE_BATCH_MAX)
        if owner.admission.more:
            await asyncio.sleep(0)  # a backlog: lanes get their turn on the lock, then the next batch
            continue
        owner.note_alive()
        if taken and collect_seconds:
            await asyncio.sleep(until_tick(collect_seconds))
        await _sleep_until_due(owner, collect_seconds)


def until_tick(collect_seconds: float, at_least_seconds: float = 0.0) -> float:
    """Seconds until the first common tick after `at_least_seconds`; never more than one collecting time later."""
    now = asyncio.get_running_loop().time()
    return collect_seconds - (now + at_least_seconds) % collect_seconds + at_least_seconds


async def _sleep_until_due(owner: Owner, collect_seconds: float) -> None:
    parts = owner.parts
    if not owner.active:
        return
    owner.next_wake_ms = _next_due_ms(owner)
    now_ms = parts.clock.now_ms()
    delay_ms = min(IDLE_MS_MAX, owner.admission.look_again_ms(now_ms) or IDLE_MS_MAX)
    if owner.next_wake_ms is not None:
        delay_ms = min(delay_ms, owner.next_wake_ms - parts.emit_ahead_ms - now_ms)
    if delay_ms <= 0:
        return
    delay_seconds = delay_ms / 1000
    if collect_seconds:
        delay_seconds = until_tick(collect_seconds, delay_seconds)
    try:
        async with asyncio.timeout(delay_seconds):
            await owner.woken.wait()
    except TimeoutError:
        return


def _next_due_ms(owner: Owner) -> int | None:
    """The next instant of those that have room; a namespace that has none is woken by a result."""
    store, full = owner.parts.store, owner.admission.full
    if not full:
        return store.next_due_ms(owner.partition)
    others = [each for each in store.namespaces(owner.partition) if each not in full]
    dues = [store.next_due_ms(owner.partition, each) for each in others]
    return min((due_ms for due_ms in dues if due_ms is not None), default=None)

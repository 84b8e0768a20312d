"""Answers to a gateway's asks, from the partitions this process owns. Reads only; a page never costs more than its limits."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from squirrel.engine.upcoming import crowd, upcoming_runs
from squirrel.model.limits import PAGE_BYTES_MAX, PAGE_ITEMS_MAX
from squirrel.model.schedule import LIVE, Row, State, decode_row
from squirrel.streams.timeline.keys import EVENT_KIND, RUN_KIND, STATE_KIND, TAG_KIND, s_key, x_entry, x_prefix
from squirrel.wire.owner_link import (
    Answer,
    Ask,
    Await,
    Crowd,
    Decided,
    FindRun,
    Found,
    Get,
    GetStats,
    ListRows,
    NotMine,
    Owned,
    Owns,
    Page,
    Stats,
    Undecided,
    Upcoming,
)
from squirrel.wire.records import Command

if TYPE_CHECKING:
    from squirrel.engine.owner import Owner
    from squirrel.engine.parts import EngineParts

SCAN_PAGE = 500
SCANNED_ROWS_MAX = 200_000  # a filter that matches nothing stops here and says that there is more
AWAIT_SECONDS_MAX = 10.0


async def answer_all(parts: EngineParts, owners: Mapping[int, Owner], asks: list[Ask]) -> list[Answer]:
    """One answer per ask, in order; waits (bounded) for outcomes that are still being applied.

    Commands of a partition are applied in order, so one wait for its highest offset serves a batch of a thousand.
    """
    highest: dict[int, Await] = {}
    for ask in asks:
        if isinstance(ask, Await) and (ask.partition not in highest or ask.offset > highest[ask.partition].offset):
            highest[ask.partition] = ask
    await asyncio.gather(*(_applied(owners, ask) for ask in highest.values()))
    return [_outcome(owners, ask) if isinstance(ask, Await) else await _answer(parts, owners, ask) for ask in asks]


async def _applied(owners: Mapping[int, Owner], ask: Await) -> None:
    owner = owners.get(ask.partition)
    if owner is not None:
        await owner.outcomes.of(ask.offset, min(ask.timeout_ms / 1000, AWAIT_SECONDS_MAX))


def _outcome(owners: Mapping[int, Owner], ask: Await) -> Decided | Undecided | NotMine:
    owner = owners.get(ask.partition)
    if owner is None:
        return NotMine()
    return owner.outcomes.kept(ask.offset) or Undecided()


async def _answer(parts: EngineParts, owners: Mapping[int, Owner], ask: Ask) -> Answer:
    if isinstance(ask, Get):
        if ask.partition not in owners:
            return NotMine()
        return Found(parts.store.get_many(ask.partition, [s_key(ask.namespace, ask.id)])[0])
    if isinstance(ask, Owns):
        return Owned() if owners.keys() >= set(ask.partitions) else NotMine()
    if isinstance(ask, ListRows):
        return await _list(parts, list(owners), ask)
    if isinstance(ask, FindRun):
        return _find_run(parts, list(owners), ask)
    if isinstance(ask, Crowd):
        return await crowd(parts, list(owners), ask)
    if isinstance(ask, Upcoming):
        return await upcoming_runs(parts, list(owners), ask)
    assert isinstance(ask, GetStats)
    return stats_of(parts, owners)


def stats_of(parts: EngineParts, owners: Mapping[int, Owner]) -> Stats:
    """Counters since the start and gauges of now."""
    counters = parts.counters
    now_ms = parts.clock.now_ms()
    values: dict[str, float] = {
        name: getattr(counters, name)
        for name in ("commands", "results", "executions", "completions", "dead_letters", "refused", "replays", "poison")
    }
    values["partitions"] = len(owners)
    values["rows"] = sum(parts.store.pending(partition) for partition in owners)
    due = [parts.store.next_due_ms(partition) for partition in owners]
    values["overdue_ms_max"] = max((now_ms - due_ms for due_ms in due if due_ms is not None), default=0)
    values["overdue_ms_max"] = max(values["overdue_ms_max"], 0)
    return Stats(values, list(counters.lateness_ms))


async def _list(parts: EngineParts, partitions: list[int], ask: ListRows) -> Page:
    limit = min(ask.limit, PAGE_ITEMS_MAX)
    rows: list[tuple[bytes, bytes]] = []
    scanned = bytes_held = 0
    for sort_key, partition, schedule_id in _candidates(parts, partitions, ask):
        scanned += 1
        if scanned % SCAN_PAGE == 0:
            await asyncio.sleep(0)  # a long filter must not hold up firing
        value = parts.store.get_many(partition, [s_key(ask.namespace, schedule_id)])[0]
        if value is None or not _matches(decode_row(value), ask):
            continue
        if len(rows) == limit or (rows and bytes_held + len(value) > PAGE_BYTES_MAX):
            return Page(rows, more=True)
        rows.append((sort_key, value))
        bytes_held += len(value)
        if scanned >= SCANNED_ROWS_MAX:
            return Page(rows, more=True)
    return Page(rows, more=False)


def _candidates(parts: EngineParts, partitions: Iterable[int], ask: ListRows) -> Iterator[tuple[bytes, int, str]]:
    """(sort key, partition, id) over all partitions, newest first, from the narrowest index that the filter allows."""
    if ask.tag:
        prefixes = [x_prefix(ask.namespace, TAG_KIND, ask.tag)]
    elif ask.event and "*" not in ask.event:
        prefixes = [x_prefix(ask.namespace, EVENT_KIND, ask.event)]
    else:
        states = ask.states or tuple(sorted(LIVE))
        prefixes = [x_prefix(ask.namespace, STATE_KIND, state) for state in states]
    lists = [_walk(parts, partition, prefix, ask.after) for partition in partitions for prefix in prefixes]
    return heapq.merge(*lists)


def _walk(parts: EngineParts, partition: int, prefix: bytes, after: bytes) -> Iterator[tuple[bytes, int, str]]:
    start = prefix + after if after else None
    while True:
        page = parts.store.scan(partition, prefix, start, SCAN_PAGE)
        for key, _ in page:
            yield key[len(prefix) :], partition, x_entry(prefix, key)[1]
        if len(page) < SCAN_PAGE:
            return
        start = page[-1][0]


def _matches(row: Row, ask: ListRows) -> bool:
    states = ask.states or LIVE
    if row.state not in states or row.state is State.UNKNOWN:
        return False
    if ask.event and not _event_matches(ask.event, row.event):
        return False
    if ask.tag and ask.tag not in row.tags:
        return False
    if ask.text:
        text = ask.text.casefold()
        return any(text in part.casefold() for part in (row.id, row.event, row.spec.name, row.spec.description))
    return True


def _event_matches(wanted: str, event: str) -> bool:
    if wanted.endswith("*"):
        return event.startswith(wanted[:-1])
    return event == wanted


def _find_run(parts: EngineParts, partitions: Iterable[int], ask: FindRun) -> Found:
    """Open runs stand in an index; a finished one is asked of the history."""
    prefix = x_prefix(ask.namespace, RUN_KIND, ask.run)
    for partition in partitions:
        for key, _ in parts.store.scan(partition, prefix, None, 1):
            schedule_id = x_entry(prefix, key)[1]
            return Found(parts.store.get_many(partition, [s_key(ask.namespace, schedule_id)])[0])
    return Found(None)


async def calendar_users(parts: EngineParts, partition: int, namespace: str, name: str) -> list[Command]:
    """Orders to re-plan the schedules of a partition whose rule names the calendar."""
    found: list[Command] = []
    prefix = x_prefix(namespace, STATE_KIND, State.ACTIVE)
    start: bytes | None = None
    while True:
        page = parts.store.scan(partition, prefix, start, SCAN_PAGE)
        keys = [s_key(namespace, x_entry(prefix, key)[1]) for key, _ in page]
        for value in parts.store.get_many(partition, keys):
            row = decode_row(value) if value is not None else None
            if row is not None and name in row.spec.when.exclude:
                now_ms = parts.clock.now_ms()
                found.append(Command("replan", namespace, row.id, f"calendar/{name}/{now_ms}", now_ms))
        if len(page) < SCAN_PAGE:
            return found
        start = page[-1][0]
        await asyncio.sleep(0)  # firing goes on meanwhile

"""Schedules that live through the whole run: each second ones, paused ones, families, and one-shots of another year."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final

from squirrel.model.instants import format_instant, parse_instant
from tests.chaos.asking import API, CALM_SECONDS, Clients, now_ms
from tests.chaos.http import Http, NoAnswer

FAN_OUT: Final = 10
DEPTH: Final = 5
FAR_MS: Final = 365 * 86_400_000
SETTLED_SECONDS: Final = 3.0
CONFLICT: Final = 409


def _every_second(
    clients: Clients, name: str, slots: int, *, overlap: str, missed: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its end is an instant: the count of a rule is of runs, and a slot that was skipped is none."""
    start_ms = (now_ms() // 1000 + 2) * 1000
    body, asked = clients.one_shot(name, start_ms)
    end = format_instant(start_ms + (slots - 1) * 1000)
    body["when"] = {"every": {"interval": "second", "value": 1}, "start": format_instant(start_ms), "end": end}
    body |= {"overlap": overlap, "missed": missed}
    clients.last_due_ms = max(clients.last_due_ms, start_ms + slots * 1000)
    del asked["at_ms"], asked["nonce"]
    rule = {"every_ms": 1000, "start_ms": start_ms, "max_runs": slots, "overlap": overlap, "missed": missed}
    return body, {**asked, **rule}


async def every_second(clients: Clients, count: int) -> None:
    """Gaps show: every slot of theirs is owed, whatever happens."""
    http = clients.http()
    slots = max(1, int(clients.until - time.monotonic() - SETTLED_SECONDS))
    for index in range(count):
        overlap = ("skip", "queue", "allow")[index % 3]
        name = clients.name("tick")
        while not await clients.create(http, *_every_second(clients, name, slots, overlap=overlap, missed="run_all")):
            if not clients.goes_on:
                break
            name = clients.name("tick")
            await clients.ending.pause(CALM_SECONDS)
    http.close()


async def paused(clients: Clients, missed: str) -> None:
    """One after the other: some seconds of running, a pause, what a resume would do, the resume."""
    http = clients.http()
    while clients.until - time.monotonic() > 14:
        name = clients.name(f"pause-{missed}")
        path = f"{API}/{name}"
        if not await clients.create(http, *_every_second(clients, name, 12, overlap="skip", missed=missed)):
            await clients.ending.pause(CALM_SECONDS)
            continue
        await clients.ending.pause(3)
        await clients.ask(http, "pause", name, ("POST", f"{path}:pause", {}))
        await clients.ending.pause(4)
        await _preview(clients, http, name)
        while not clients.ending.over:
            answer = await clients.ask(http, "resume", name, ("POST", f"{path}:resume", {}))
            if answer is not None and (answer.status < 300 or answer.status == CONFLICT):
                break  # 409: the pause was never taken, and the rule has come to its end meanwhile
            await clients.ending.pause(CALM_SECONDS)
        clients.seen(f"catch-up by {missed}")
        await clients.ending.pause(6)
    http.close()


async def _preview(clients: Clients, http: Http, name: str) -> None:
    i = clients.ledger.invoke("client", "preview_resume", name)
    try:
        answer = await http.call("POST", f"{API}/{name}:preview-resume", {})
    except NoAnswer:
        clients.ledger.ended(i, "info")
        return
    if answer.status != 200:
        clients.ledger.ended(i, "info", {"status": answer.status})
        return
    slots = [parse_instant(slot) for slot in answer.body["slots"]]
    clients.ledger.ended(i, "ok", {"status": 200, "slots_ms": slots})


async def families(clients: Clients) -> None:
    """A parent that succeeds or fails, a chain below it, a fan-out, a join, and one who comes when all is over."""
    http, chance = clients.http(), clients.chance
    while clients.until - time.monotonic() > SETTLED_SECONDS + DEPTH:
        parent, failing = clients.name("parent"), chance.random() < 0.3
        due_ms = clients.due_in(chance.uniform(0.5, 3))
        asked: dict[str, Any] = {"fails": 9, "max_retries": 0} if failing else {}
        if not await clients.create(http, *clients.one_shot(parent, due_ms, **asked)):
            await clients.ending.pause(CALM_SECONDS)
            continue
        on = "failure" if failing else "success"
        first = parent
        for _ in range(DEPTH):
            child = clients.name("chain")
            if not await _child(clients, http, child, [[first, on]]):
                break
            first, on = child, "success"
        outcome = "failure" if failing else "success"
        for index in range(FAN_OUT):
            wanted = ("completion", outcome, "success")[index % 3]
            await _child(clients, http, clients.name("fan"), [[parent, wanted]], delay_ms=index * 100)
        other = clients.name("parent")
        if await clients.create(http, *clients.one_shot(other, clients.due_in(chance.uniform(0.5, 3)))):
            for join in ("all", "any"):
                await _child(clients, http, clients.name("join"), [[parent, outcome], [other, "success"]], join=join)
        await clients.ending.pause(max(0.0, (due_ms - now_ms()) / 1000) + 1)
        await _child(clients, http, clients.name("late"), [[parent, outcome]])
    http.close()


async def _child(
    clients: Clients, http: Http, name: str, parents: list[list[str]], *, join: str = "all", delay_ms: int = 0
) -> bool:
    body, asked = clients.one_shot(name, 0)
    del asked["at_ms"], asked["nonce"]
    after = [{"schedule": parent, "on": on} for parent, on in parents]
    body["when"] = {"after": after, "join": join, "delay_seconds": delay_ms / 1000}
    clients.due_in(clients.horizon_seconds)
    return await clients.create(http, body, {**asked, "after": parents, "join": join, "delay_ms": delay_ms})


async def far_future(clients: Clients, count: int) -> list[str]:
    """Due in another year: they must be there in the end, and not have been called."""
    http = clients.http()
    names: list[str] = []
    while len(names) < count and clients.goes_on:
        name = clients.name("far")
        if await clients.create(http, *clients.one_shot(name, now_ms() + FAR_MS + len(names))):
            names.append(name)
        else:
            await clients.ending.pause(CALM_SECONDS)
    http.close()
    return names


def lives(clients: Clients, ticks: int) -> list[Coroutine[Any, Any, Any]]:
    return [
        every_second(clients, ticks),
        *(paused(clients, missed) for missed in ("run_all", "run_last", "skip")),
        families(clients),
        families(clients),
    ]


async def together(work: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All of it; the first that fails ends the others."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]

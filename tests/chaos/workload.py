"""What clients do all the time: batches, spikes, single calls that race with the firing, reads, and everything through Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from squirrel.model.ids import id_from_idempotency_key
from squirrel.model.instants import format_instant
from tests.chaos.asking import API, CALM_SECONDS, Clients, now_ms
from tests.chaos.http import Http, NoAnswer
from tests.chaos.target import FAILURES

BATCH_ITEMS: Final = 40
SENDERS: Final = 10  # half of them do not wait until their schedules are applied
RACERS: Final = 4
GROUPS: Final = 5
SPIKE_ITEMS: Final = 500
SPIKE_EVERY_SECONDS: Final = 20.0
BEHIND_ITEMS_MAX: Final = 4_000  # an outage is not made up for without a bound
CALM_SECONDS_MAX: Final = 3.0  # as a client that heeds Retry-After would
INBOX_SECONDS_MAX: Final = 15.0
STORED_IS_ENOUGH: Final = ("prefer", "respond-async")


def mixed(clients: Clients, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A one-shot as they come: most are plain, some are slow, some fail for a while or for good, some have a group."""
    chance = clients.chance
    due_ms = clients.due_in(chance.uniform(0.5, clients.horizon_seconds))
    roll = chance.random()
    if roll < 0.80:
        return clients.one_shot(name, due_ms)
    if roll < 0.90:
        return clients.one_shot(name, due_ms, latency_ms=chance.choice((20, 100, 400)))
    if roll < 0.95:
        return clients.one_shot(name, due_ms, group=f"group-{chance.randrange(GROUPS)}")
    kind = chance.choices(FAILURES, weights=(8, 4, 4, 1, 1, 1))[0]
    retries = chance.choice((0, 1, 3))
    return clients.one_shot(name, due_ms, fails=chance.randint(1, 4), kind=kind, max_retries=retries)


async def batches(clients: Clients, rate: float) -> None:
    """`rate` one-shots a second in batches; what an outage kept back follows, within a bound."""
    began, sent = time.monotonic(), 0

    async def sender(headers: tuple[tuple[str, str], ...]) -> None:
        nonlocal sent, began
        http, calm = clients.http(), CALM_SECONDS
        while clients.goes_on:
            behind = (time.monotonic() - began) * rate - sent
            if behind < BATCH_ITEMS:
                await clients.ending.pause((BATCH_ITEMS - behind) / rate)
                continue
            if behind > BEHIND_ITEMS_MAX:
                began += (behind - BEHIND_ITEMS_MAX) / rate
            sent += BATCH_ITEMS
            items = [mixed(clients, clients.name("shot")) for _ in range(BATCH_ITEMS)]
            if not await batch(clients, http, items, headers):
                calm = min(CALM_SECONDS_MAX, calm * 2)
                await clients.ending.pause(calm)
            else:
                calm = CALM_SECONDS
        http.close()

    await asyncio.gather(*(sender((STORED_IS_ENOUGH,) if index % 2 else ()) for index in range(SENDERS)))


async def batch(
    clients: Clients,
    http: Http,
    items: list[tuple[dict[str, Any], dict[str, Any]]],
    headers: tuple[tuple[str, str], ...] = (),
) -> bool:
    """One call with many creates; whether anybody answered."""
    calls = [(clients.ledger.invoke("batch", "create", body["id"], asked), body["id"]) for body, asked in items]
    try:
        answer = clients.heard(
            await http.call("POST", f"{API}:batch", {"schedules": [body for body, _ in items]}, headers)
        )
    except NoAnswer:
        answer = None
    if answer is None or answer.status != 200:
        status = None if answer is None else answer.status
        for i, name in calls:
            clients.created(i, name, status)
        return False
    taken = True
    for (i, name), result in zip(calls, answer.body["results"], strict=True):
        error = {"error": result["error"].get("detail")} if result.get("error") else None
        taken = clients.created(i, name, result["status"], error) and taken
    return taken


async def spikes(clients: Clients) -> None:
    """Many one-shots due in one millisecond."""
    http = clients.http()
    while clients.goes_on:
        due_ms = clients.due_in(min(6.0, clients.horizon_seconds))
        await batch(clients, http, [clients.one_shot(clients.name("spike"), due_ms) for _ in range(SPIKE_ITEMS)])
        await clients.ending.pause(min(SPIKE_EVERY_SECONDS, max(0.0, clients.until - time.monotonic())))
    http.close()


async def racer(clients: Clients) -> None:
    """A one-shot, and then changes, cancels and looks around the millisecond in which it is due."""
    http, chance = clients.http(), clients.chance
    while clients.goes_on:
        name = clients.name("race")
        due_ms = clients.due_in(chance.uniform(0.3, 2.5))
        if not await clients.create(http, *clients.one_shot(name, due_ms)):
            await clients.ending.pause(CALM_SECONDS)
            continue
        for nonce in range(2, chance.choice((3, 4, 6))):
            if chance.random() < 0.5:
                await clients.ending.pause((due_ms - now_ms()) / 1000 - chance.uniform(-0.05, 0.25))
            roll = chance.random()
            path = f"{API}/{name}"
            if roll < 0.45:
                moved_ms = clients.due_in(chance.uniform(0.2, 2.0))
                change = {"when": {"at": format_instant(moved_ms)}, "message": {"nonce": nonce}}
                asked = {"at_ms": moved_ms, "nonce": nonce}
                answer = await clients.ask(http, "update", name, ("PATCH", path, change), asked)
                due_ms = moved_ms if answer is not None and answer.status == 200 else due_ms
                if answer is not None and answer.status == 409:
                    clients.seen("409 on update")
            elif roll < 0.65:
                answer = await clients.ask(http, "cancel", name, ("DELETE", path, None))
                clients.seen(f"{answer.status if answer is not None else 'no answer'} on cancel")
                break
            else:
                await clients.ask(http, "get", name, ("GET", path, None))
    http.close()


async def inbox(clients: Clients, bootstrap: str, topic: str, rate: float) -> None:
    """One-shots straight into Kafka, as any program may send them."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=20)
    await producer.start()

    async def one() -> None:
        name = clients.name("inbox")
        body, asked = clients.one_shot(name, clients.due_in(clients.chance.uniform(1, clients.horizon_seconds)))
        i = clients.ledger.invoke("inbox", "create", name, asked)
        try:
            async with asyncio.timeout(INBOX_SECONDS_MAX):
                await producer.send_and_wait(topic, orjson.dumps(body), key=name.encode())
        except (KafkaError, TimeoutError):
            clients.created(i, name, None)
        else:
            clients.created(i, name, 202)

    try:
        async with asyncio.TaskGroup() as group:
            while clients.goes_on:
                group.create_task(one())
                await clients.ending.pause(1 / rate)
    finally:
        await producer.stop()


async def keyed(clients: Clients) -> None:
    """Many equal creates at once under one key, and one with another content."""
    while clients.goes_on:
        key = clients.name("key")
        name = id_from_idempotency_key("default", key)
        due_ms = clients.due_in(clients.chance.uniform(2, clients.horizon_seconds))
        body, asked = clients.one_shot(name, due_ms)
        del body["id"]
        await asyncio.gather(
            *(_keyed(clients, key, name, body, {**asked, "key": key, "content": "same"}) for _ in range(10))
        )
        other = {**asked, "key": key, "content": "other"}
        await _keyed(clients, key, name, {**body, "message": {"nonce": 1, "other": True}}, other)
        await clients.ending.pause(3)


async def _keyed(clients: Clients, key: str, name: str, body: dict[str, Any], asked: dict[str, Any]) -> None:
    http = clients.http()
    i = clients.ledger.invoke("client", "create", name, asked)
    try:
        answer = await http.call("POST", API, body, (("idempotency-key", key),))
    except NoAnswer:
        clients.created(i, name, None)
    else:
        said = answer.body if isinstance(answer.body, dict) else {}
        clients.created(i, name, answer.status, {key: said[key] for key in ("id", "created_at") if key in said})
    finally:
        http.close()


async def reader(clients: Clients) -> None:
    """Schedules with a tag that are due late, some cancelled, and whole lists of the tag."""
    http = clients.http()
    while clients.goes_on:
        tag = clients.name("tag")
        names = [clients.name("listed") for _ in range(5)]
        for name in names:
            await clients.create(http, *clients.one_shot(name, clients.due_in(clients.horizon_seconds), tag=tag))
        await clients.ask(http, "cancel", names[0], ("DELETE", f"{API}/{names[0]}", None))
        i = clients.ledger.invoke("client", "list", "", {"tag": tag})
        try:
            answer = await http.call("GET", f"{API}?tag={tag}&limit=100")
        except NoAnswer:
            answer = None
        if answer is None or answer.status != 200:
            clients.ledger.ended(i, "info", {})
        else:
            clients.ledger.ended(i, "ok", {"status": 200, "ids": [item["id"] for item in answer.body["items"]]})
        await clients.ending.pause(1)
    http.close()


def load(clients: Clients, rate: float, bootstrap: str, inbox_topic: str) -> list[Coroutine[Any, Any, None]]:
    """Everything that goes on until the load ends."""
    return [
        batches(clients, rate),
        spikes(clients),
        inbox(clients, bootstrap, inbox_topic, rate / 20),
        keyed(clients),
        reader(clients),
        *(racer(clients) for _ in range(RACERS)),
    ]

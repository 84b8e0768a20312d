"""Every changing call leaves exactly one record: who, what, when, from where, with which outcome; and no secret."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from squirrel.gateway import audit_trail
from squirrel.wire.audit import AuditRecord, Stored, Verifier, read_audit
from tests.eventually import eventually
from tests.unit.gateway.world import AUDIT as TOPIC
from tests.unit.gateway.world import World, client_of, create_app, one_shot

API = "/api/v1"


def records(world: World) -> list[AuditRecord]:
    return [
        read_audit(value or b"")
        for (topic, _), kept in world.log.records.items()
        if topic == TOPIC
        for _, value, _ in kept
    ]


async def test_each_change_has_one_record(api: httpx.AsyncClient, world: World) -> None:
    headers = {"X-User": "maria", "Authorization": "Bearer s3cr3t"}
    await api.post(f"{API}/schedules", json=one_shot(id="a"), headers=headers)
    await api.post(f"{API}/schedules/a:pause", headers=headers)
    await api.get(f"{API}/schedules/a")
    await api.patch(f"{API}/schedules/a", json={"name": "b"})
    await api.post(f"{API}/preview", json={"when": {"cron": "@daily"}})
    await api.post(f"{API}/schedules", json={"event": ""})
    await api.put(f"{API}/routes/x.*", json={"target": one_shot()["target"]})
    await api.delete(f"{API}/schedules/a")
    await api.delete(f"{API}/schedules/none")
    seen = [(each.operation, each.id, each.outcome, each.status, each.revision) for each in records(world)]
    assert seen == [
        ("Schedules_create", "a", "done", 201, 1),
        ("Schedules_pause", "a", "done", 200, 2),
        ("Schedules_patch", "a", "done", 200, 3),
        ("Schedules_create", "", "refused", 422, 0),
        ("Routes_put", "x.*", "done", 201, 0),
        ("Schedules_delete", "a", "done", 204, 3),
        ("Schedules_delete", "none", "refused", 404, 0),
    ]
    first = records(world)[0]
    assert (first.actor, first.address, first.method, first.namespace) == ("maria", "127.0.0.1", "POST", "default")
    assert first.credential.startswith("token:")
    everything = b"".join(
        value or b"" for (topic, _), kept in world.log.records.items() if topic == TOPIC for _, value, _ in kept
    )
    assert b"s3cr3t" not in everything
    assert b"Reminder" not in everything


async def test_the_seeds_calls_are_on_record_too(api: httpx.AsyncClient, world: World) -> None:
    body = {"webhook": "https://hooks.example.com/", "scheduleAt": "2027-06-01T10:00:00Z", "data": {}}
    answer = await api.post("/schedule", json=body)
    (record,) = records(world)
    assert record.status == answer.status_code
    assert record.operation.endswith("create")
    assert answer.status_code >= 400 or record.id


async def test_a_batch_is_one_record_with_its_ids(api: httpx.AsyncClient, world: World) -> None:
    items = [one_shot(id=f"s{n}") for n in range(5)] + [{"event": ""}, one_shot(id="s1", event="other")]
    await api.post(f"{API}/schedules:batch", json={"schedules": items})
    (record,) = records(world)
    assert (record.operation, record.count, record.refused, record.status) == ("Batch_create", 6, 1, 200)
    assert set(record.ids) == {f"s{n}" for n in range(5)}


async def test_what_a_call_says_of_itself_stays_on_one_line(world: World) -> None:
    async with client_of(create_app(world.deps())) as api:
        raw = [(b"x-user", b'eve\xc2\x85{"x":1}\x0bmallory'), (b"content-type", b"application/json")]
        await api.post(f"{API}/schedules/a%0d%0afake:pause", headers=raw)
    (record,) = records(world)
    for text in (record.actor, record.path, record.id):
        assert text.isprintable()


async def test_the_chain_holds_and_a_changed_record_is_found(api: httpx.AsyncClient, world: World) -> None:
    await asyncio.gather(*(api.post(f"{API}/schedules", json=one_shot(id=f"s{n}")) for n in range(20)))
    ((partition, kept),) = [(each, kept) for (topic, each), kept in world.log.records.items() if topic == TOPIC]
    values = [value or b"" for _, value, _ in kept]
    assert len(values) == 20
    stored = [Stored(partition, offset, value) for offset, value in enumerate(values)]
    assert list(Verifier().check(stored)) == []
    stored[7] = Stored(partition, 7, values[7].replace(b'"id":"s', b'"id":"t'))
    assert [(each.offset, each.what) for each in Verifier().check(stored)] == [(7, "changed")]


async def test_it_is_found_page_by_page(world: World) -> None:
    async with client_of(create_app(world.deps())) as api:
        for number in range(7):
            await api.post(f"{API}/schedules", json=one_shot(id=f"s{number}"), headers={"X-User": f"u{number % 2}"})
        seen: list[str] = []
        cursor = ""
        while True:
            page = (await api.get(f"{API}/audit?limit=2{cursor}")).json()
            seen += [each["id"] for each in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == [f"s{number}" for number in range(6, -1, -1)]
        one = (await api.get(f"{API}/audit?actor=u1&id=s3")).json()["items"]
        assert [(each["id"], each["actor"]) for each in one] == [("s3", "u1")]
        other = await api.get(f"{API}/audit", headers={"Squirrel-Namespace": "else"})
        assert other.json()["items"] == []
        assert (await api.get(f"{API}/audit?cursor=x")).status_code == 422


async def test_while_kafka_takes_none_answers_wait_a_little_and_records_do_not_get_lost(
    world: World, monkeypatch: Any
) -> None:
    monkeypatch.setattr(audit_trail, "WAIT_SECONDS_MAX", 0.05)
    monkeypatch.setattr(audit_trail, "RETRY_SECONDS", 0.02)
    append = world.log.append
    is_away = True

    async def picky(topic: str, partition: int, given: Any) -> int:
        if topic == TOPIC and is_away:
            await asyncio.Event().wait()
        return await append(topic, partition, given)

    monkeypatch.setattr(world.log, "append", picky)
    async with client_of(create_app(world.deps())) as api:
        assert (await api.post(f"{API}/schedules", json=one_shot(id="a"))).status_code == 201
        monkeypatch.setattr(audit_trail, "WAITING_MAX", 1)
        refused = await api.post(f"{API}/schedules", json=one_shot(id="b"))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert (await api.get(f"{API}/schedules/a")).status_code == 200
        is_away = False
        await eventually(lambda: [each.id for each in records(world)] == ["a"])
        assert (await api.post(f"{API}/schedules", json=one_shot(id="b"))).status_code == 201

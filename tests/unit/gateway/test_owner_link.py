"""When the owner moves, is away, slow or confused: the write stands, and the caller is told what is known."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from aiohttp import web

from squirrel.gateway.owner_link import OwnerLink
from squirrel.model.errors import Unavailable
from squirrel.wire.owner_link import PATH, Found, Get, GetStats, NotMine, Undecided, decode_asks, encode_answers
from tests.unit.gateway.world import PARTITIONS, SetClock, SetDirectory, World, client_of, create_app, one_shot


async def test_without_an_owner_a_write_is_accepted(world: World) -> None:
    async with client_of(create_app(world.deps(outcome_seconds=0.2))) as api:
        world.link_down = True
        answer = await api.post("/api/v1/schedules", json=one_shot(id="a"))
        assert (answer.status_code, answer.headers["location"]) == (202, "/api/v1/schedules/a")
        away = await api.get("/api/v1/schedules/a")
        assert (away.status_code, away.headers["content-type"]) == (503, "application/problem+json")
        assert int(away.headers["retry-after"]) >= 1
        assert (await api.get("/api/v1/schedules")).status_code == 503
        world.link_down = False
        assert (await api.get("/api/v1/schedules/a")).status_code == 200


async def test_an_old_map_is_read_again(api: httpx.AsyncClient, world: World) -> None:
    good = dict(world.directory.map)
    world.directory.map = dict.fromkeys(range(PARTITIONS), "http://127.0.0.1:9")
    assert (await api.get("/api/v1/schedules/a")).status_code == 503
    world.directory.map = good
    world.clock.skip_seconds += 60
    answer = await api.post("/api/v1/schedules", json=one_shot(id="a"))
    assert answer.status_code == 201


async def test_a_list_without_every_partition_is_no_list(api: httpx.AsyncClient, world: World) -> None:
    """Found by chaos: an engine whose disk was full had left a partition, and the list was 200 without its rows."""
    assert (await api.get("/api/v1/schedules")).status_code == 200
    owners = world.engine.owners
    owner = owners.pop(1)
    left = await api.get("/api/v1/schedules")
    assert (left.status_code, "retry-after" in left.headers) == (503, True)
    assert (await api.get("/api/v1/stats")).status_code == 200, "a part of the counters is better than none"
    owners[1] = owner
    assert (await api.get("/api/v1/schedules")).status_code == 200
    world.directory.map = {number: url for number, url in world.directory.map.items() if number != 1}
    world.clock.skip_seconds += 60
    owners.pop(1)
    assert (await api.get("/api/v1/schedules")).status_code == 503  # nobody has it yet
    assert (await api.get("/api/v1/schedules")).status_code == 503
    owners[1] = owner


async def test_outcomes_forgotten_are_read_from_the_row(world: World) -> None:
    async with client_of(create_app(world.deps())) as api:

        async def forgetful(asks: bytes) -> bytes:
            answers = []
            for ask in decode_asks(asks):
                if isinstance(ask, Get):
                    answers.append(Found(world.engine.parts.store.get(ask.partition, b"Sdefault\0" + ask.id.encode())))
                else:
                    await world.caught_up()
                    answers.append(Undecided())
            return encode_answers(answers)

        world.answer_asks = forgetful
        answer = await api.post("/api/v1/schedules", json=one_shot(id="a"))
        assert (answer.status_code, answer.json()["id"]) == (201, "a")


@pytest.mark.parametrize("body", [b"", b"\xff", encode_answers([]), encode_answers([Undecided()] * 3)])
async def test_nonsense_from_an_owner_is_no_answer(world: World, body: bytes) -> None:
    async def nonsense(_: bytes) -> bytes:
        return body

    world.answer_asks = nonsense
    async with client_of(create_app(world.deps())) as api:
        assert (await api.get("/api/v1/schedules/a")).status_code == 503
        assert (await api.post("/api/v1/schedules", json=one_shot())).status_code == 202


async def test_asks_travel_together_and_refreshes_keep_their_distance(world: World) -> None:
    link = OwnerLink(world.directory, world.clock, "between-services")
    await link.start()
    try:
        await asyncio.gather(*(link.ask(0, Get(0, "default", f"s{number}")) for number in range(500)))
        assert world.posts <= 10
        assert world.directory.asked == 1
    finally:
        await link.close()
        await link.close()


async def test_a_partition_without_an_owner() -> None:
    link = OwnerLink(SetDirectory(), SetClock(), "", answer_seconds=0.2)
    await link.start()
    with pytest.raises(Unavailable, match="no engine owns"):
        await link.ask(0, Get(0, "default", "a"))
    with pytest.raises(Unavailable, match="no engine owns"):
        await link.ask_all(GetStats())
    await link.close()


async def test_an_owner_that_never_answers_is_given_up() -> None:
    silent = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await silent.wait()
        return web.Response(body=encode_answers([NotMine()]))

    app = web.Application()
    app.router.add_post(PATH, wait)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    directory = SetDirectory()
    directory.map = {0: f"http://127.0.0.1:{runner.addresses[0][1]}"}
    link = OwnerLink(directory, SetClock(), "", answer_seconds=-1.9)  # and the margin: 0.1 s
    await link.start()
    with pytest.raises(Unavailable):
        await link._put(directory.map[0], [Get(0, "default", "a")])
    await link.close()
    silent.set()
    await runner.cleanup()

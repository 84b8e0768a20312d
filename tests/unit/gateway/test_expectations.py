"""What the watchdog says, passed on; and what is said when there is none."""

from __future__ import annotations

import httpx

from squirrel.wire.expectations import Expectations
from tests.unit.gateway.world import NOW_MS, World, client_of, create_app

PATH = "/api/v1/expectations"


async def test_the_watchdogs_word_is_passed_on(api: httpx.AsyncClient, world: World) -> None:
    item = {"schedule_id": "a", "due": "2027-01-15T08:00:00.000Z", "missing": ["2027-01-15T08:00:00.000Z"]}
    world.expectations = Expectations(as_of_ms=NOW_MS, ready=True, overdue=1, unanswered=2, items=[item])
    answer = await api.get(f"{PATH}?state=overdue&schedule=a&limit=7", headers={"Squirrel-Namespace": "team-a"})
    assert answer.json() == {
        "as_of": "2027-01-15T08:00:00.000Z", "counts": {"overdue": 1, "unanswered": 2}, "items": [item],
    }  # fmt: skip
    (asked,) = world.watchdog_asked
    assert (asked.namespace, asked.state, asked.schedule, asked.limit) == ("team-a", "overdue", "a", 7)
    assert (await api.get(f"{PATH}?state=odd")).status_code == 422


async def test_a_watchdog_that_is_not_there_is_said(world: World) -> None:
    for url in ("", "http://127.0.0.1:9"):
        async with client_of(create_app(world.deps(watchdog_url=url))) as api:
            answer = await api.get(PATH)
            assert answer.status_code == 503
            assert "watchdog" in answer.json()["detail"]


async def test_what_is_still_being_read_is_not_judged(api: httpx.AsyncClient, world: World) -> None:
    world.expectations = Expectations(as_of_ms=0, ready=False, overdue=0, unanswered=0, items=[])
    assert (await api.get(PATH)).status_code == 503

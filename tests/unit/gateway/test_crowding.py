"""A create that joins a crowd is told so, with the spread that cures it; nobody pays for the counting."""

from __future__ import annotations

from typing import Any

import pytest

from squirrel.gateway import crowding
from squirrel.model.instants import format_instant
from tests.unit.gateway.world import NOW_MS, World, client_of, create_app, one_shot

AT = format_instant(NOW_MS + 3_600_000)
CROWDED = "runs are due in the minute from 2027-01-15T09:00:00.000Z, where 3 are ordinary; spread_seconds: 120 on each"


async def warned(api: Any, **fields: Any) -> list[str]:
    answer = await api.post("/api/v1/schedules", json=one_shot(**fields))
    assert answer.status_code == 201, answer.text
    return answer.json().get("warnings", [])


async def test_the_fourth_run_of_a_minute_is_one_too_many(world: World) -> None:
    async with client_of(create_app(world.deps(crowded_minute_runs=3))) as api:
        said = [await warned(api, id=f"s-{number}", when={"at": AT}) for number in range(5)]
        assert said[:3] == [[], [], []]
        assert said[3][0].startswith(f"4 {CROWDED}")
        assert said[4][0].startswith(f"5 {CROWDED}")
        assert await warned(api, id="alone", when={"at": format_instant(NOW_MS + 7_200_000)}) == []


async def test_recurring_ones_and_changes_and_batches_are_told_too(world: World) -> None:
    async with client_of(create_app(world.deps(crowded_minute_runs=1))) as api:
        batch = {"schedules": [one_shot(id=f"b-{number}", when={"at": AT}) for number in range(3)]}
        results = (await api.post("/api/v1/schedules:batch", json=batch)).json()["results"]
        assert [each["warnings"][0].partition(" runs are due")[0] for each in results] == ["3", "3", "3"]
        assert await warned(api, id="hourly", when={"cron": "0 9 * * *"})
        spread = await warned(api, id="spread", when={"cron": "0 9 * * *", "spread_seconds": 3600})
        assert spread == [], "its own spread took it elsewhere"
        await warned(api, id="moved", when={"at": format_instant(NOW_MS + 7_200_000)})
        answer = await api.patch("/api/v1/schedules/moved", json={"when": {"at": AT}})
        assert "spread_seconds" in answer.json()["warnings"][0]


async def test_a_minute_is_counted_once_and_what_is_over_does_not_count(world: World) -> None:
    async with client_of(create_app(world.deps(crowded_minute_runs=1))) as api:
        await warned(api, id="a", when={"at": AT})
        posts = world.posts
        for number in range(5):
            await warned(api, id=f"m-{number}", when={"at": AT})
        assert world.posts == posts + 5, "one wait each for the outcome, and no further question"
        soon = format_instant(NOW_MS + 120_000)
        for number in range(3):
            await api.post(
                "/api/v1/schedules", json=one_shot(id=f"c-{number}", when={"at": soon}, retention_seconds=120)
            )
            await api.delete(f"/api/v1/schedules/c-{number}")
        world.clock.skip_seconds += 60
        assert await warned(api, id="fresh", when={"at": soon}) == []


async def test_it_can_be_turned_off_and_never_holds_an_answer_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with client_of(create_app(world.deps(crowded_minute_runs=0))) as api:
        assert [await warned(api, id=f"o-{number}", when={"at": AT}) for number in range(3)] == [[], [], []]
    monkeypatch.setattr(crowding, "ASKED_PER_SECOND_MAX", 0.0)
    async with client_of(create_app(world.deps(crowded_minute_runs=1))) as api:
        assert [await warned(api, id=f"n-{number}", when={"at": AT}) for number in range(3)] == [[], [], []]


@pytest.mark.parametrize(
    ("runs", "runs_max", "spread", "expected"),
    [(1001, 1000, 0, 120), (3000, 1000, 0, 300), (3000, 1000, 300, 600), (10**9, 1, 0, 86_400)],
)
def test_the_spread_is_the_shortest_that_does(runs: int, runs_max: int, spread: int, expected: int) -> None:
    assert crowding.spread_for(runs, runs_max, spread) == expected

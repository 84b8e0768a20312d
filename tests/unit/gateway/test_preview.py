"""Previews: what a rule would do, the presets, and what a resume owes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from squirrel.model.instants import parse_instant
from tests.unit.gateway.world import World, one_shot

FROM = "2027-02-01T00:00:00Z"
PREVIEW = "/api/v1/preview"


async def preview(api: httpx.AsyncClient, when: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await api.post(PREVIEW, json={"when": when, "from": FROM} | more)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_runs_at_or_after_from_and_in_words(api: httpx.AsyncClient) -> None:
    shown = await preview(api, {"cron": "0 0 * * *", "timezone": "UTC"}, count=2)
    assert shown["runs"] == ["2027-02-01T00:00:00.000Z", "2027-02-02T00:00:00.000Z"]
    assert "00:00" in shown["explain"]
    assert shown["warnings"] == []


async def test_ten_runs_without_a_count_and_from_now_without_a_from(api: httpx.AsyncClient, world: World) -> None:
    answer = (await api.post(PREVIEW, json={"when": {"every": {"interval": "hour"}}})).json()
    assert len(answer["runs"]) == 10
    assert parse_instant(answer["runs"][0]) == world.clock.wall_ms + 3_600_000


async def test_one_shots_and_delays(api: httpx.AsyncClient) -> None:
    assert (await preview(api, {"at": "2027-03-01T00:00:00Z"}))["runs"] == ["2027-03-01T00:00:00.000Z"]
    assert (await preview(api, {"in_seconds": 90}))["runs"] == ["2027-02-01T00:01:30.000Z"]
    past = await preview(api, {"at": "2027-01-01T00:00:00Z"})
    assert past["runs"] == []
    assert past["warnings"]


async def test_what_follows_others_has_words_and_no_runs(api: httpx.AsyncClient) -> None:
    for when in ({"after": [{"schedule": "parent"}]}, {"on_event": {"event": "email.*"}}):
        shown = await preview(api, when)
        assert shown["runs"] == []
        assert shown["explain"]


async def test_clock_changes_are_told(api: httpx.AsyncClient) -> None:
    when = {"cron": "30 2 * * *", "timezone": "America/New_York"}
    shown = await preview(api, when, **{"from": "2027-03-13T00:00:00Z"}, count=3)
    assert any("2027-03-14" in each for each in shown["warnings"])


@pytest.mark.parametrize(
    ("when", "days"),
    [
        ({"cron": "30 2 * * *", "timezone": "America/New_York"}, ["2027-03-14"]),  # weeks beyond the runs shown
        ({"cron": "30 1 * * *", "timezone": "America/New_York", "end": "2027-06-01T00:00:00Z"}, []),
        ({"rrule": "DTSTART:20270202T023000\nRRULE:FREQ=DAILY;COUNT=12", "timezone": "America/New_York"}, []),
        ({"cron": "30 2 * * *", "timezone": "America/New_York", "max_runs": 3}, []),
        ({"cron": "30 2 29 2 *", "timezone": "America/New_York"}, []),
    ],
)
async def test_clock_changes_of_the_coming_year_are_told(api: httpx.AsyncClient, when: Any, days: list[str]) -> None:
    shown = await preview(api, when, count=3)
    assert len(shown["warnings"]) == len(days)
    assert all(day in each for day, each in zip(days, shown["warnings"], strict=True))


async def test_a_rule_that_is_over_answers(api: httpx.AsyncClient) -> None:
    shown = await preview(api, {"rrule": "DTSTART:20200101T000000Z\nRRULE:FREQ=DAILY;COUNT=3"}, count=1000)
    assert shown["runs"] == []
    assert shown["warnings"]


async def test_max_runs_and_count_bound_the_runs(api: httpx.AsyncClient) -> None:
    assert len((await preview(api, {"cron": "* * * * *", "max_runs": 4}, count=1000))["runs"]) == 4
    assert len((await preview(api, {"cron": "* * * * *"}, count=1000))["runs"]) == 1000


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "when"),
        ({"when": {"cron": "61 * * * *"}}, "when.cron"),
        ({"when": {"cron": "0 0 30 2 *"}}, "when.cron"),
        ({"when": {"cron": "* * * * *"}, "count": 0}, "count"),
        ({"when": {"cron": "* * * * *"}, "count": 1001}, "count"),
        ({"when": {"cron": "* * * * *"}, "from": "2027-01-01T00:00:00"}, "from"),
        ({"when": {"cron": "* * * * *"}, "till": 1}, "till"),
        ({"when": {"cron": "* * * * *", "timezone": "Nowhere/City"}}, "when.timezone"),
        ({"when": {"cron": "* * * * *", "exclude": ["nobody-made-it"]}}, "when.exclude[0]"),
        ({"when": {"at": FROM, "cron": "* * * * *"}}, "when.cron"),
        ({"when": 5}, "when"),
    ],
)
async def test_bad_previews_name_the_field(api: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    answer = await api.post(PREVIEW, json=body)
    assert answer.status_code == 422, answer.text
    assert field in [each["field"] for each in answer.json()["errors"]]


async def test_every_preset_can_be_previewed(api: httpx.AsyncClient) -> None:
    presets = (await api.get("/api/v1/presets")).json()["items"]
    assert len(presets) >= 30
    for preset in presets:
        assert (await preview(api, preset["when"], count=1))["runs"], preset["id"]


HOUR_MS = 3_600_000


async def paused(api: httpx.AsyncClient, world: World, hours: float, **fields: Any) -> dict[str, Any]:
    """What is owed of an hourly schedule that was paused for that long."""
    made = await api.post(
        "/api/v1/schedules", json=one_shot(id="owing", when={"every": {"interval": "hour"}}, **fields)
    )
    assert made.status_code == 201, made.text
    assert (await api.post("/api/v1/schedules/owing:pause")).status_code == 200
    world.clock.wall_ms += int(hours * HOUR_MS)
    answer = await api.post("/api/v1/schedules/owing:preview-resume")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize(
    ("fields", "outcomes"),
    [
        ({}, ["skipped", "skipped", "run"]),
        ({"missed": "run_all"}, ["run", "run", "run"]),
        ({"missed": "skip"}, ["skipped", "skipped", "skipped"]),
        ({"missed": "run_all", "max_lateness_seconds": 3600}, ["missed", "missed", "run"]),
    ],
)
async def test_owed_slots_by_the_missed_policy(
    api: httpx.AsyncClient, world: World, fields: dict[str, Any], outcomes: list[str]
) -> None:
    owed = await paused(api, world, 3.5, **fields)
    assert owed["state"] == "paused"
    assert (owed["owed"], owed["would_run"]) == (3, outcomes.count("run"))
    assert [each["outcome"] for each in owed["runs"]] == outcomes
    assert owed["slots"] == [each["slot"] for each in owed["runs"]]
    assert owed["complete"]
    assert owed["next_slot"] > owed["as_of"]


async def test_nothing_is_owed_before_the_first_slot(api: httpx.AsyncClient, world: World) -> None:
    assert (await paused(api, world, 0.5))["owed"] == 0
    assert (await api.post("/api/v1/schedules/nobody:preview-resume")).status_code == 404


async def test_a_long_pause_is_counted_to_a_limit_and_the_last_still_named(
    api: httpx.AsyncClient, world: World
) -> None:
    when = {"every": {"interval": "second"}}
    await api.post("/api/v1/schedules", json=one_shot(id="often", when=when))
    await api.post("/api/v1/schedules/often:pause")
    world.clock.wall_ms += 400 * 24 * HOUR_MS
    owed = (await api.post("/api/v1/schedules/often:preview-resume")).json()
    assert not owed["complete"]
    assert len(owed["slots"]) <= 1000
    assert owed["would_run"] == 1
    assert parse_instant(owed["runs"][-1]["slot"]) == world.clock.wall_ms

"""Runs and dead letters found and put right: one by one, and by operations that outlive their gateway."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from squirrel.gateway import sweep_work, sweeps
from squirrel.model.ids import run_id
from squirrel.stores.history import AttemptRecord, CompletionRecord, DeadLetterRecord, HistoryBatch
from squirrel.wire.operations import decode_operation
from tests.eventually import eventually
from tests.unit.gateway.world import NOW_MS, World, client_of, create_app, one_shot

API = "/api/v1"
OLD_MS = NOW_MS - 3_600_000


async def failed_runs(api: httpx.AsyncClient, world: World, *names: str, letters: bool = False) -> list[str]:
    """Schedules with a run each that failed an hour ago; -> the runs."""
    runs = []
    for at, name in enumerate(names):
        made = await api.post(f"{API}/schedules", json=one_shot(id=name, event=f"email.{name}", tags=["t"]))
        assert made.status_code == 201, made.text
        run = run_id("default", name, OLD_MS + at)
        of_run: dict[str, Any] = {
            "namespace": "default", "schedule_id": name, "run": run, "event": f"email.{name}", "slot_ms": OLD_MS + at,
            "due_ms": OLD_MS + at, "finished_ms": OLD_MS + at + 5,
        }  # fmt: skip
        attempt = AttemptRecord(
            **of_run, number=1, emitted_ms=OLD_MS, picked_up_ms=OLD_MS, started_ms=OLD_MS, state="failed", status=503,
            target=b'{"type":"http","url":"https://hooks.example.com/hook"}', error_type="status",
        )  # fmt: skip
        done = CompletionRecord(**of_run, state="failed", attempts_count=1, status=503, tags=("t",))
        letter = DeadLetterRecord(**of_run, attempts_count=1, reason="status: 503", message=b'{"n":1}')
        await world.history.write(HistoryBatch((attempt,), (done,), (letter,) if letters else ()))
        runs.append(run)
    return runs


def replays(world: World) -> list[str]:
    """The old runs that were called again, a name for each call."""
    return sorted(each.replay_of or "" for _, each in world.orders())


async def begin(api: httpx.AsyncClient, path: str, **body: Any) -> str:
    answer = await api.post(f"{API}/{path}", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{API}/operations/{answer.json()['operation']['id']}"
    return answer.headers["location"]


async def over(api: httpx.AsyncClient, location: str) -> dict[str, Any]:
    """The operation's last word."""
    seen: list[dict[str, Any]] = []

    async def is_over() -> bool:
        seen.append((await api.get(location)).json()["operation"])
        return seen[-1]["state"] not in ("running", "cancelling")

    await eventually(is_over)
    return seen[-1]


async def test_runs_are_found_by_what_is_in_them(api: httpx.AsyncClient, world: World) -> None:
    runs = await failed_runs(api, world, "a", "b")
    for query, expected in (
        ("host=hooks.example.com", runs[::-1]), ("status=5xx&event=email.a", runs[:1]), ("status=404", []),
        ("tag=t&schedule=b", runs[1:]), ("q=EMAIL.B", runs[1:]), ("event=email.*&state=failed", runs[::-1]),
    ):  # fmt: skip
        items = (await api.get(f"{API}/runs?{query}")).json()["items"]
        assert [each["id"] for each in items] == expected, query
    for query, field in (("status=9xx", "status"), ("q=", "q"), ("schedule=%20", "schedule"), ("host=", "host")):
        answer = await api.get(f"{API}/runs?{query}")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_a_replay_by_filter(api: httpx.AsyncClient, world: World) -> None:
    runs = await failed_runs(api, world, "a", "b", "c")
    body = {"filter": {"state": "failed", "event": "email.*"}, "rate": 1000}
    counted = await api.post(f"{API}/runs:replay", json=body | {"dry_run": True})
    shown = counted.json()["operation"]
    assert (counted.status_code, shown["matched"], shown["matched_all"], shown["done"]) == (200, 3, True, 0)
    assert replays(world) == []
    operation = await over(api, await begin(api, "runs:replay", **body))
    assert (operation["state"], operation["matched"], operation["done"], operation["failed"]) == ("succeeded", 3, 3, 0)
    await eventually(lambda: len(replays(world)) == 3)
    assert replays(world) == sorted(runs)
    assert [each["id"] for each in (await api.get(f"{API}/operations")).json()["items"]] == [operation["id"]]
    assert (await api.get(f"{API}/runs/{runs[0]}")).json()["state"] == "failed"  # kept as it was


async def test_a_schedule_that_is_gone_is_skipped_and_named(api: httpx.AsyncClient, world: World) -> None:
    (run,) = await failed_runs(api, world, "a")
    orphan = CompletionRecord("default", "gone", "run_x", "email.x", OLD_MS, OLD_MS, "failed", 1, OLD_MS)
    await world.history.write(HistoryBatch(completions=(orphan,)))
    operation = await over(api, await begin(api, "runs:replay", filter={"state": "failed"}, rate=1000))
    assert (operation["done"], operation["skipped"]) == (1, 1)
    assert (operation["errors"][0]["id"], operation["errors"][0]["outcome"]) == ("run_x", "skipped")
    await eventually(lambda: replays(world) == [run])


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("runs:replay", {}, "filter"),
        ("runs:replay", {"filter": {}}, "filter"),
        ("runs:replay", {"filter": {"state": "in_flight"}}, "filter.state"),
        ("runs:replay", {"filter": {"event": "a", "colour": "red"}}, "filter.colour"),
        ("runs:replay", {"filter": {"event": "a"}, "rate": 0}, "rate"),
        ("runs:replay", {"filter": {"event": "a"}, "pace": 1}, "pace"),
        ("runs:replay", {"filter": {"status": 700}}, "filter.status"),
        ("dead-letters:discard", {"filter": {"event": "a"}}, "reason"),
        ("dead-letters:replay", {"filter": {"state": "failed"}}, "filter.state"),
    ],
)
async def test_what_is_wrong_is_named(api: httpx.AsyncClient, path: str, body: dict[str, Any], field: str) -> None:
    answer = await api.post(f"{API}/{path}", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_a_cancelled_operation_stops_and_says_how_far_it_was(api: httpx.AsyncClient, world: World) -> None:
    await failed_runs(api, world, "a", "b", "c")
    location = await begin(api, "runs:replay", filter={"state": "failed"}, rate=0.01)
    await eventually(lambda: len(replays(world)) == 1)
    cancelled = await api.post(f"{location}:cancel")
    assert cancelled.json()["operation"]["state"] in ("cancelling", "cancelled")
    operation = await over(api, location)
    assert (operation["state"], operation["done"], operation["matched"]) == ("cancelled", 1, 3)
    assert len(replays(world)) == 1
    assert (await api.post(f"{location}:cancel")).json()["operation"]["state"] == "cancelled"
    assert (await api.post(f"{API}/operations/none:cancel")).status_code == 404


async def test_an_operation_goes_on_with_the_next_gateway(world: World) -> None:
    async with client_of(create_app(world.deps())) as first:
        runs = await failed_runs(first, world, "a", "b", "c")
        location = await begin(first, "runs:replay", filter={"state": "failed"}, rate=0.5)
        await eventually(lambda: len(replays(world)) == 1)
    async with client_of(create_app(world.deps())) as second:
        operation = await over(second, location)
    assert (operation["state"], operation["done"], operation["matched"]) == ("succeeded", 3, 3)
    assert replays(world) == sorted(runs)


async def test_a_killed_gateway_is_missed_and_its_chunk_is_not_made_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "TAKEOVER_SECONDS", 0.2)
    monkeypatch.setattr(sweeps, "FOLLOW_SECONDS", 0.05)
    async with client_of(create_app(world.deps())) as api:
        runs = await failed_runs(api, world, "a", "b", "c")
        location = await begin(api, "runs:replay", filter={"state": "failed"}, rate=1000)
        await over(api, location)
        await eventually(lambda: len(replays(world)) == 3)
        # What a gateway leaves behind that was killed after it had sent the chunk: all is sent, nothing is counted.
        history = [decode_operation(value) for _, value, _ in world.log.records["operations", 0] if value]
        left = next(each for each in history if each.chunk_ms and not each.done)
        killed = world.deps()
        value = sweep_work.replace(left, owner="killed", beats=left.beats + 99)
        key = f"default/operation/{left.id}".encode()
        await killed.new_writer().append("operations", 0, [(key, sweeps_encode(value), ())])
        operation = await over(api, location)
        assert (operation["state"], operation["done"], operation["skipped"]) == ("succeeded", 3, 0)
        await world.caught_up()
    assert replays(world) == sorted(runs)


def sweeps_encode(operation: Any) -> bytes:
    from squirrel.wire.operations import encode_operation

    return encode_operation(operation)


async def test_an_engine_that_is_away_is_waited_for(api: httpx.AsyncClient, world: World) -> None:
    runs = await failed_runs(api, world, "a", "b")
    world.link_down = True
    location = await begin(api, "runs:replay", filter={"state": "failed"}, rate=1000)

    async def waits() -> bool:
        return (await api.get(location)).json()["operation"]["counting"] is False

    await eventually(waits)
    world.link_down = False
    operation = await over(api, location)
    assert (operation["state"], operation["done"], operation["failed"]) == ("succeeded", 2, 0)
    await eventually(lambda: replays(world) == sorted(runs))


async def test_a_dead_letter_is_called_again_and_says_so(api: httpx.AsyncClient, world: World) -> None:
    (run,) = await failed_runs(api, world, "a", letters=True)
    path = f"{API}/dead-letters/{run}"
    assert (await api.get(path)).json()["state"] == "open"
    answer = await api.post(f"{path}:replay", json={"message": {"n": 2}}, headers={"X-User": "maria"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["replay_of"] == run
    letter = (await api.get(path)).json()
    assert (letter["state"], letter["mark"]["as"], letter["mark"]["by"]) == ("replayed", answer.json()["id"], "maria")
    assert (await api.get(f"{API}/dead-letters?state=open")).json()["items"] == []
    assert len((await api.get(f"{API}/dead-letters")).json()["items"]) == 1
    assert (await api.post(f"{API}/dead-letters/run_none:replay")).status_code == 404


async def test_a_discarded_letter_stays_visible_and_can_be_taken_back(api: httpx.AsyncClient, world: World) -> None:
    run, other = await failed_runs(api, world, "a", "b", letters=True)
    path = f"{API}/dead-letters/{run}"
    assert (await api.post(f"{path}:discard", json={})).json()["errors"][0]["field"] == "reason"
    answer = await api.post(f"{path}:discard", json={"reason": "test data"})
    assert (answer.status_code, answer.json()["state"], answer.json()["mark"]["reason"]) == (
        200,
        "discarded",
        "test data",
    )
    assert [each["run"] for each in (await api.get(f"{API}/dead-letters?state=discarded")).json()["items"]] == [run]
    operation = await over(api, await begin(api, "dead-letters:replay", filter={"event": "email.*"}, rate=1000))
    assert operation["done"] == 1
    await eventually(lambda: replays(world) == [other])  # what was given up is not called by a filter
    assert (await api.post(f"{path}:reopen")).json()["state"] == "open"


async def test_a_run_that_is_called_again_takes_its_letter_along(api: httpx.AsyncClient, world: World) -> None:
    """However it is called again: what is done must not be offered for doing once more, and what was given up stays so."""
    one, two, given_up = await failed_runs(api, world, "a", "b", "c", letters=True)
    assert (await api.post(f"{API}/runs/{one}:replay", headers={"X-User": "maria"})).status_code == 201
    await api.post(f"{API}/dead-letters/{given_up}:discard", json={"reason": "test data"})
    operation = await over(
        api, await begin(api, "runs:replay", filter={"event": "email.*", "schedule": "b"}, rate=1000)
    )
    assert operation["done"] == 1
    operation = await over(api, await begin(api, "runs:replay", filter={"schedule": "c"}, rate=1000))
    assert (operation["done"], operation["skipped"]) == (0, 1)
    assert "test data" in operation["errors"][0]["reason"]
    letters = {each["run"]: each for each in (await api.get(f"{API}/dead-letters")).json()["items"]}
    assert [letters[run]["state"] for run in (one, two, given_up)] == ["replayed", "replayed", "discarded"]
    assert letters[one]["mark"]["by"] == "maria"


async def test_letters_are_discarded_by_filter(api: httpx.AsyncClient, world: World) -> None:
    await failed_runs(api, world, "a", "b", "c", letters=True)
    body = {"filter": {"q": "email.b"}, "reason": "sent by hand"}
    assert (await api.post(f"{API}/dead-letters:discard", json=body | {"dry_run": True})).json()["operation"][
        "matched"
    ] == 1
    operation = await over(api, await begin(api, "dead-letters:discard", **body))
    assert (operation["done"], operation["reason"]) == (1, "sent by hand")
    items = (await api.get(f"{API}/dead-letters")).json()["items"]
    assert [(each["schedule_id"], each["state"]) for each in items] == [
        ("c", "open"),
        ("b", "discarded"),
        ("a", "open"),
    ]

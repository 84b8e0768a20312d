"""`:complete` and `:heartbeat`: by token or by credential, for the attempt that is meant, and for nothing else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from squirrel.model.completion_token import Claim, completion_key, sign_claim
from tests.unit.gateway.world import HOOK, World, client_of, create_app, one_shot

SECRET = "between executors and gateways"
KEY = completion_key(SECRET)
assert KEY is not None
SLOW = {**HOOK, "completion": "async", "completion_timeout_seconds": 60}


@pytest.fixture
async def guarded(world: World) -> Any:
    """A gateway that asks for a token."""
    async with client_of(create_app(world.deps(completion_secret=SECRET, api_token="s3cret"))) as client:
        yield client


AUTHORIZED = {"Authorization": "Bearer s3cret"}


async def promised(client: httpx.AsyncClient, world: World, **fields: Any) -> str:
    made = await client.post(
        "/api/v1/schedules", json=one_shot(id="slow", when={"in_seconds": 0}, target=SLOW, **fields), headers=AUTHORIZED
    )
    assert made.status_code == 201, made.text
    assert made.json()["target"]["completion_timeout_seconds"] == 60
    await world.emitted()
    (run,) = (await client.get("/api/v1/schedules/slow/runs", headers=AUTHORIZED)).json()["items"]
    return str(run["id"])


def token(run: str, attempt: int = 1, **changes: str) -> dict[str, str]:
    assert KEY is not None
    claim = Claim(**{"namespace": "default", "schedule": "slow", "run": run, **changes}, attempt=attempt)
    return {"squirrel-completion-token": sign_claim(KEY, claim)}


async def test_a_token_completes_its_run_without_another_credential(guarded: httpx.AsyncClient, world: World) -> None:
    run = await promised(guarded, world)
    path = f"/api/v1/runs/{run}"
    beaten = await guarded.post(f"{path}:heartbeat", headers=token(run))
    assert (beaten.status_code, beaten.json()["state"]) == (200, "in_flight")
    done = await guarded.post(f"{path}:complete", json={"result": {"id": 7}}, headers=token(run))
    assert (done.status_code, done.json()["state"]) == (200, "succeeded"), done.text
    again = await guarded.post(f"{path}:complete", headers=token(run))
    assert again.status_code == 409
    assert again.json()["run"]["state"] == "succeeded"


async def test_a_credential_does_too_and_a_failure_waits_for_its_retry(
    guarded: httpx.AsyncClient, world: World
) -> None:
    run = await promised(guarded, world, retry={"max_retries": 1, "strategy": "fixed", "initial_seconds": 60})
    failure = {"outcome": "failure", "error": "no stock"}
    failed = await guarded.post(f"/api/v1/runs/{run}:complete", json=failure, headers=AUTHORIZED)
    assert (failed.status_code, failed.json()["state"]) == (200, "retry_wait"), failed.text


async def test_nobody_else_may(guarded: httpx.AsyncClient, world: World) -> None:
    run = await promised(guarded, world)
    path = f"/api/v1/runs/{run}:complete"
    assert (await guarded.post(path)).status_code == 401
    for wrong in (
        token("run_" + "0" * 32),
        {"squirrel-completion-token": "sqc1.x.y"},
        {"squirrel-completion-token": ""},
    ):
        assert (await guarded.post(path, headers=wrong)).status_code == 401, wrong
    assert (await guarded.get(f"/api/v1/runs/{run}", headers=token(run))).status_code == 401, "it opens nothing else"
    assert (await guarded.post(path, headers=token(run, attempt=2))).status_code == 409
    assert (await guarded.post(path, headers=token(run, schedule="elsewhere"))).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"outcome": "maybe"}, "outcome"),
        ({"error": "x"}, "outcome"),
        ({"outcome": "failure", "error": 7}, "error"),
        ({"result": "x" * 70_000}, "result"),
        ({"results": 1}, "results"),
    ],
)
async def test_what_is_wrong_is_named(guarded: httpx.AsyncClient, world: World, body: Any, field: str) -> None:
    run = await promised(guarded, world)
    refused = await guarded.post(f"/api/v1/runs/{run}:complete", json=body, headers=token(run))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"guarantee": "exactly_once"}, "guarantee"),
        ({"guarantee": "at_most_once", "retry": {"max_retries": 2}}, "retry.max_retries"),
        ({"guarantee": "at_most_once", "fallback": [HOOK]}, "fallback"),
        ({"target": {**HOOK, "completion_timeout_seconds": 5}}, "target.completion_timeout_seconds"),
        ({"target": {**HOOK, "completion": "later"}}, "target.completion"),
    ],
)
async def test_schedules_that_contradict_themselves(api: httpx.AsyncClient, fields: Any, field: str) -> None:
    refused = await api.post("/api/v1/schedules", json=one_shot(**fields))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field


async def test_a_guarantee_is_shown_changed_and_held_against_a_change(api: httpx.AsyncClient) -> None:
    made = await api.post("/api/v1/schedules", json=one_shot(id="pay", guarantee="at_most_once"))
    assert (made.status_code, made.json()["guarantee"]) == (201, "at_most_once")
    refused = await api.patch("/api/v1/schedules/pay", json={"retry": {"max_retries": 3}})
    assert refused.status_code == 422
    changed = await api.patch("/api/v1/schedules/pay", json={"guarantee": None, "retry": {"max_retries": 3}})
    assert (changed.status_code, changed.json()["guarantee"]) == (200, "at_least_once")

"""No door of the gateway takes an address that nobody may be sent to, in whatever form, and no refusal repeats it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from squirrel.gateway.app import create_app
from squirrel.wire.documents import TargetPolicy
from squirrel.wire.vault import Vault
from tests.hostile_urls import LITERALS, URLS
from tests.unit.gateway.world import World

AT = "2027-02-01T10:00:00Z"
GOOD = "https://good.example/"


@pytest.fixture
async def strict(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(world.deps(targets=TargetPolicy(vault=Vault([b"k" * 32]))))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://gw") as client:
        yield client


def schedule(**fields: Any) -> dict[str, Any]:
    return {"event": "email.send", "when": {"at": AT}, "target": {"url": GOOD}, **fields}


Ask = Callable[[str], tuple[str, str, Any]]  # URL -> method, path, body


async def leaks(client: httpx.AsyncClient, ask: Ask, urls: list[str] = URLS) -> list[str]:
    """What was taken, or refused in words that repeat where it would have gone."""
    found = []
    for url in urls:
        method, path, body = ask(url)
        answer = await client.request(method, path, content=json.dumps(body))  # lone surrogates as escapes
        if not 400 <= answer.status_code < 500:
            found.append(f"{method} {path} took {url!r}: {answer.status_code}")
    return found


async def test_create(strict: httpx.AsyncClient) -> None:
    assert not await leaks(strict, lambda url: ("POST", "/api/v1/schedules", schedule(target={"url": url})))


async def test_create_by_the_short_form(strict: httpx.AsyncClient) -> None:
    assert not await leaks(strict, lambda url: ("POST", "/api/v1/schedule", schedule(target=url)))


async def test_fallback(strict: httpx.AsyncClient) -> None:
    assert not await leaks(strict, lambda url: ("POST", "/api/v1/schedules", schedule(fallback=[{"url": url}])))


async def test_the_token_endpoint_of_oauth(strict: httpx.AsyncClient) -> None:
    def ask(url: str) -> tuple[str, str, Any]:
        auth = {"type": "oauth2", "token_url": url, "client_id": "c", "client_secret": "s"}
        return "POST", "/api/v1/schedules", schedule(target={"url": GOOD, "auth": auth})

    assert not await leaks(strict, ask)


async def test_patch_and_put(strict: httpx.AsyncClient) -> None:
    made = (await strict.post("/api/v1/schedules", json=schedule())).json()["id"]
    path = f"/api/v1/schedules/{made}"
    assert not await leaks(strict, lambda url: ("PATCH", path, {"target": {"url": url}}))
    assert not await leaks(strict, lambda url: ("PUT", path, schedule(target={"url": url})))
    assert (await strict.get(path)).json()["target"]["url"] == GOOD


async def test_batch(strict: httpx.AsyncClient) -> None:
    schedules = [schedule(target={"url": url}) for url in URLS]
    results = (await strict.post("/api/v1/schedules:batch", content=json.dumps({"schedules": schedules}))).json()[
        "results"
    ]
    assert [each["status"] for each in results] == [422] * len(URLS)


async def test_routes(strict: httpx.AsyncClient) -> None:
    assert not await leaks(strict, lambda url: ("PUT", "/api/v1/routes/a.*", {"target": {"url": url}}))
    body = {"target": {"url": GOOD}}
    assert not await leaks(strict, lambda url: ("PUT", "/api/v1/routes/a.*", {**body, "fallback": [{"url": url}]}))


async def test_replay(strict: httpx.AsyncClient) -> None:
    run = "run_" + "0" * 32
    assert not await leaks(strict, lambda url: ("POST", f"/api/v1/runs/{run}:replay", {"target": {"url": url}}))


async def test_replay_of_a_dead_letter(strict: httpx.AsyncClient) -> None:
    run = "run_" + "0" * 32
    assert not await leaks(strict, lambda url: ("POST", f"/api/v1/dead-letters/{run}:replay", {"target": {"url": url}}))


async def test_steps_of_a_workflow(strict: httpx.AsyncClient) -> None:
    def ask(url: str, **step: Any) -> tuple[str, str, Any]:
        return "PUT", "/api/v1/workflows/w", {"steps": [{"id": "a", "target": {"url": GOOD}, **step}]}

    assert not await leaks(strict, lambda url: ask(url, target={"url": url}))
    assert not await leaks(strict, lambda url: ask(url, fallback=[{"url": url}]))
    assert not await leaks(strict, lambda url: ask(url, compensate={"target": {"url": url}}))


async def test_templates(strict: httpx.AsyncClient) -> None:
    kept = {"schedule": schedule(target={"url": "{{url}}"}), "parameters": [{"name": "url"}]}
    assert (await strict.put("/api/v1/templates/t", json=kept)).status_code == 201
    body = {"template": "t"}
    assert not await leaks(strict, lambda url: ("POST", "/api/v1/schedules", {**body, "parameters": {"url": url}}))
    good = await strict.post("/api/v1/schedules", json={**body, "parameters": {"url": GOOD}})
    assert good.status_code == 201, good.text


async def test_the_seeds_own_apis(strict: httpx.AsyncClient) -> None:
    at = {"schedule_type": "one_time", "specific_time": AT}
    asks: list[Ask] = [
        lambda url: ("POST", "/jobs", {"name": "n", "target": url, **at}),
        lambda url: ("POST", "/schedule", {"webhook": url, "ttl": 60, "data": {}}),
        lambda url: ("POST", "/api/schedules", {"rrule": "FREQ=DAILY;COUNT=2", "callback_url": url, "name": "n"}),
        lambda url: ("POST", "/api/schedules", {"name": "n", "cron_expression": "0 9 * * *", "target_url": url}),
    ]
    for ask in asks:
        assert not await leaks(strict, ask)


@pytest.mark.parametrize(
    "target",
    [
        {"type": "sqs", "region": "eu-central-1", "access_key_id": "AKIA1", "secret_access_key": "s", "queue_url": ...},
        {
            "type": "lambda",
            "region": "eu-central-1",
            "access_key_id": "AKIA1",
            "secret_access_key": "s",
            "function": "f",
            "endpoint": ...,
        },
        {"type": "pubsub", "project": "p", "topic": "top", "endpoint": ...},
        {"type": "slack", "url": ...},
    ],
    ids=lambda target: target["type"],
)
async def test_plugins(strict: httpx.AsyncClient, target: dict[str, Any]) -> None:
    def ask(url: str) -> tuple[str, str, Any]:
        given = {name: url if value is ... else value for name, value in target.items()}
        return "POST", "/api/v1/schedules", schedule(target=given)

    assert not await leaks(strict, ask, [each for each in URLS if each and not each.startswith("/")])


@pytest.mark.parametrize("kind", ["email", "redis_stream"])
async def test_plugins_with_hosts(strict: httpx.AsyncClient, kind: str) -> None:
    rest = {"email": {"from": "a@b.example", "to": ["c@d.example"]}, "redis_stream": {"stream": "s"}}[kind]
    hosts = [url.removeprefix("http://").removesuffix("/hook").strip("[]") for url in LITERALS]
    assert not await leaks(
        strict, lambda host: ("POST", "/api/v1/schedules", schedule(target={"type": kind, "host": host, **rest})), hosts
    )


async def test_a_refusal_says_why_and_not_what_the_address_was(strict: httpx.AsyncClient) -> None:
    for url in LITERALS:
        told = (await strict.post("/api/v1/schedules", json=schedule(target={"url": url}))).json()
        (error,) = told["errors"]
        assert error["field"] == "target.url"
        assert "SQUIRREL_TARGETS_ALLOW_CIDRS" in error["reason"]
        assert url not in str(told)
        assert url.removeprefix("http://").removesuffix("/hook").strip("[]") not in str(told["errors"]) + told["detail"]

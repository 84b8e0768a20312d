"""A template's secrets: sealed where they rest, shown to nobody, kept by the mark, and whole in the schedules made from it."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import pytest

from squirrel.gateway.app import create_app
from squirrel.intake import Accepted, Surroundings, decide
from squirrel.model.addresses import parse_networks
from squirrel.model.target import HttpTarget, PluginTarget
from squirrel.wire.documents import TargetPolicy
from squirrel.wire.documents.template import StoredTemplate, encode_template, template_key
from squirrel.wire.records import decode_command
from squirrel.wire.secret_texts import SEALED
from squirrel.wire.template_book import TemplateBook
from squirrel.wire.vault import Vault
from tests.unit.gateway.world import TOPICS, World, client_of
from tests.unit.intake.test_step import record_of, routes
from tests.unit.wire.door import NOW_MS

PATH = "/api/v1/templates/hook"
CANARY = "canary-4711-secret"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VAULT = Vault([b"k" * 32])
SCHEDULE: dict[str, Any] = {
    "event": "email.send",
    "when": {"in_seconds": 60},
    "target": {
        "url": "https://hooks.example.com/{{path}}",
        "headers": {
            "Authorization": f"Bearer {CANARY} {{{{tenant}}}}",
            "X-Hidden": {"hidden": CANARY},
            "X-Token": "{{token}}",
            "X-Api-Key": {"secret": "named"},
            "X-Plain": "plain {{tenant}}",
        },
        "auth": {"type": "bearer", "token": CANARY},
        "signing": {"secrets": [WHSEC]},
    },
    "fallback": [{"type": "slack", "url": f"https://hooks.slack.com/{CANARY}"}],
}
PARAMETERS: list[dict[str, Any]] = [
    {"name": "path", "default": "a"},
    {"name": "tenant", "default": "acme"},
    {"name": "token", "default": CANARY},
]
BODY = {"schedule": SCHEDULE, "parameters": PARAMETERS}


def policy(vault: Vault | None) -> TargetPolicy:
    return TargetPolicy(allow_cidrs=parse_networks("127.0.0.0/8"), vault=vault)


@pytest.fixture
async def kept(world: World) -> Any:
    async with client_of(create_app(world.deps(targets=policy(VAULT)))) as client:
        answer = await client.put(PATH, json=BODY)
        assert answer.status_code == 201, answer.text
        yield client


def written(world: World) -> bytes:
    records = [value or b"" for kept in world.log.records.values() for _, value, _ in kept]
    return b"\n".join([*records, *world.definitions.values.values()])


async def created(world: World, api: httpx.AsyncClient, **fields: Any) -> tuple[HttpTarget, PluginTarget]:
    """The targets in the command that makes a schedule from the template."""
    answer = await api.post("/api/v1/schedules", json={"template": "hook"} | fields)
    assert answer.status_code == 201, answer.text
    commands = [
        decode_command(value)
        for (topic, _), records in world.log.records.items()
        if topic == TOPICS.commands
        for _, value, _ in records
        if value is not None
    ]
    spec = next(each.spec for each in commands if each.id == answer.json()["id"])
    assert spec is not None
    first, second = spec.target, spec.fallback[0].target
    assert isinstance(first, HttpTarget)
    assert isinstance(second, PluginTarget)
    return first, second


def opened(text: str) -> str:
    assert text.startswith(SEALED), text
    return VAULT.open(text.removeprefix(SEALED), "default")


async def test_nothing_of_it_rests_in_plain_and_nobody_is_shown_it(world: World, kept: httpx.AsyncClient) -> None:
    for secret in (CANARY.encode(), WHSEC.encode()):
        assert secret not in written(world)
    for answer in (await kept.get(PATH), await kept.get("/api/v1/templates"), await kept.put(PATH, json=BODY)):
        assert CANARY not in answer.text
        assert WHSEC not in answer.text
        assert SEALED not in answer.text
    shown = (await kept.get(PATH)).json()
    assert shown["schedule"]["target"]["headers"] == {
        "Authorization": "***",
        "X-Hidden": {"hidden": "***"},
        "X-Token": "{{token}}",
        "X-Api-Key": {"secret": "named"},
        "X-Plain": "plain {{tenant}}",
    }
    assert shown["schedule"]["target"]["url"] == "https://hooks.example.com/{{path}}"
    assert [each["default"] for each in shown["parameters"]] == ["a", "***", "***"]


async def test_a_schedule_made_from_it_calls_with_the_secrets_and_the_parameters(
    world: World, kept: httpx.AsyncClient
) -> None:
    target, fallback = await created(world, kept, parameters={"tenant": "t-7"})
    headers = dict(target.headers)
    assert opened(headers["Authorization"]) == f"Bearer {CANARY} t-7"
    assert opened(headers["X-Hidden"]) == CANARY
    assert opened(headers["X-Token"]) == CANARY
    assert headers["X-Plain"] == "plain t-7"
    assert target.security is not None
    assert opened(target.security.signing[0]) == WHSEC
    assert CANARY.encode() not in fallback.config
    for secret in (CANARY.encode(), WHSEC.encode()):
        assert secret not in written(world)


async def test_the_mark_keeps_what_stood_there(world: World, kept: httpx.AsyncClient) -> None:
    shown = (await kept.get(PATH)).json()
    shown["description"] = "changed"
    before = world.definitions.values[template_key("default", "hook").encode()]
    answer = await kept.put(PATH, json=shown)
    assert answer.status_code == 200, answer.text
    after = world.definitions.values[template_key("default", "hook").encode()]
    assert before != after
    target, _ = await created(world, kept)
    assert opened(dict(target.headers)["Authorization"]) == f"Bearer {CANARY} acme"


async def test_a_mark_without_a_secret_behind_it_is_refused(kept: httpx.AsyncClient) -> None:
    body = copy.deepcopy(BODY)
    body["schedule"]["target"]["headers"]["X-New-Token"] = "***"
    errors = (await kept.put(PATH, json=body)).json()["errors"]
    assert [each["field"] for each in errors] == ["schedule.target.headers.X-New-Token"]


async def test_a_kept_secrets_parameters_must_still_be_there(kept: httpx.AsyncClient) -> None:
    shown = (await kept.get(PATH)).json()
    shown["schedule"]["target"]["headers"].pop("X-Plain")
    shown["parameters"] = [each for each in shown["parameters"] if each["name"] != "tenant"]
    answer = await kept.put(PATH, json=shown)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == "schedule.target.headers.Authorization"
    assert CANARY not in answer.text


@pytest.mark.parametrize("text", ["\0e00000000.AAAA", "\0nname"])
async def test_what_looks_like_a_stored_secret_is_refused(kept: httpx.AsyncClient, text: str) -> None:
    body = copy.deepcopy(BODY)
    body["schedule"]["target"]["headers"]["Authorization"] = text
    assert (await kept.put(PATH, json=body)).status_code == 422
    body = copy.deepcopy(BODY)
    body["parameters"][0]["default"] = text
    answer = await kept.put(PATH, json=body)
    assert [each["field"] for each in answer.json()["errors"]] == ["parameters.path.default"]


async def test_without_a_key_a_template_with_a_secret_is_refused(world: World) -> None:
    async with client_of(create_app(world.deps(targets=policy(Vault())))) as client:
        answer = await client.put(PATH, json=BODY)
        assert answer.status_code == 422, answer.text
        assert "SQUIRREL_ENCRYPTION_KEYS" in answer.text
        assert CANARY not in answer.text


async def test_one_that_an_older_release_kept_in_plain_is_not_shown(world: World, kept: httpx.AsyncClient) -> None:
    stored = StoredTemplate("hook", {**SCHEDULE, "headers": {"Cookie": CANARY}})
    world.definitions.values[template_key("default", "hook").encode()] = encode_template(stored)
    answer = await kept.get(PATH)
    assert answer.status_code == 200
    assert CANARY not in answer.text


async def test_a_key_that_was_taken_away_is_said_without_the_secret(world: World, kept: httpx.AsyncClient) -> None:
    async with client_of(create_app(world.deps(targets=policy(Vault([b"o" * 32]))))) as other:
        answer = await other.post("/api/v1/schedules", json={"template": "hook"})
        assert answer.status_code == 422, answer.text
        assert "put the template again" in answer.text


async def test_the_inbox_fills_it_in_too(world: World, kept: httpx.AsyncClient) -> None:
    expanded = TemplateBook(world.definitions, VAULT).expanded
    around = Surroundings(routes, policy(VAULT), expanded=expanded)
    made = decide(record_of({"template": "hook"}), now_ms=NOW_MS, around=around)
    assert isinstance(made, Accepted), made
    assert made.command.spec is not None
    assert isinstance(made.command.spec.target, HttpTarget)
    assert opened(dict(made.command.spec.target.headers)["Authorization"]) == f"Bearer {CANARY} acme"

"""The calls around targets: types with schemas, named secrets that nobody sees again, secrets in schedules sealed at the door."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from squirrel.gateway.app import create_app
from squirrel.model.addresses import parse_networks
from squirrel.wire.documents import TargetPolicy
from squirrel.wire.vault import Vault
from tests.unit.gateway.world import World

CANARY = "canary-4711-secret"
AT = "2027-02-01T10:00:00Z"


def policy(vault: Vault | None) -> TargetPolicy:
    return TargetPolicy(allow_cidrs=parse_networks("127.0.0.0/8"), vault=vault)


@pytest.fixture
async def sealed(world: World) -> Any:
    app = create_app(world.deps(targets=policy(Vault([b"k" * 32]))))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://gw") as client:
        yield client


@pytest.fixture
async def keyless(world: World) -> Any:
    app = create_app(world.deps(targets=policy(Vault())))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://gw") as client:
        yield client


def schedule(target: Any) -> dict[str, Any]:
    return {"event": "email.send", "when": {"at": AT}, "target": target}


def everything(world: World) -> bytes:
    """All that this gateway wrote to Kafka, and all that the engine keeps of it."""
    written = [value or b"" for records in world.log.records.values() for _, value, _ in records]
    return b"\n".join([*written, *world.definitions.values.values()])


async def test_every_type_has_a_schema_and_an_example_that_is_taken(sealed: httpx.AsyncClient) -> None:
    items = (await sealed.get("/api/v1/target-types")).json()["items"]
    assert {"http", "kafka", "slack", "email", "apprise", "sqs", "sns", "lambda"} <= {each["type"] for each in items}
    for each in items:
        assert each["schema"]
        answer = await sealed.post("/api/v1/schedules", json=schedule(each["example"]))
        assert answer.status_code == 201, answer.text
        shown = answer.json()["target"]
        assert {name: shown[name] for name in each["example"]} == each["example"]


async def test_a_configuration_is_refused_by_field(sealed: httpx.AsyncClient) -> None:
    target = {
        "type": "sqs",
        "region": "nowhere!",
        "access_key_id": "AKIA1234",
        "secret_access_key": "x",
        "queue_url": "https://q/",
    }
    answer = await sealed.post("/api/v1/schedules", json=schedule(target))
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["target.region"]
    for change, field in (
        ({"type": "email", "host": "h"}, "target.from"),
        ({"type": "slack", "url": "https://s/", "chanel": "x"}, "target.chanel"),
        ({"type": "slack"}, "target"),
        ({"type": "nothing"}, "target.type"),
        ({"type": "redis_stream", "host": "10.0.0.1", "stream": "s"}, "target.host"),
        ({"type": "pubsub", "project": "p", "topic": "top", "endpoint": "http://169.254.169.254"}, "target.endpoint"),
    ):
        answer = await sealed.post("/api/v1/schedules", json=schedule(change))
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == field
        assert "169.254" not in answer.text
        assert "10.0.0.1" not in answer.text


SECRET_TARGETS: list[dict[str, Any]] = [
    {"url": "https://h.example/", "headers": {"Authorization": f"Bearer {CANARY}"}},
    {"url": "https://h.example/", "headers": {"X-Plain": {"hidden": CANARY}}},
    {"url": "https://h.example/", "auth": {"type": "bearer", "token": CANARY}},
    {"url": "https://h.example/", "auth": {"type": "basic", "username": "u", "password": CANARY}},
    {"url": "https://h.example/", "auth": {"type": "header", "name": "X-Key", "value": CANARY}},
    {
        "url": "https://h.example/",
        "auth": {"type": "oauth2", "token_url": "https://t.example/", "client_id": "c", "client_secret": CANARY},
    },
    {"type": "slack", "url": f"https://hooks.slack.com/services/{CANARY}"},
    {"type": "redis_stream", "host": "r.example", "stream": "s", "password": CANARY},
    {"type": "kafka", "topic": "t", "headers": {"api-key": CANARY}},
]


@pytest.mark.parametrize("target", SECRET_TARGETS)
async def test_a_secret_is_sealed_before_it_is_written_and_shown_to_nobody(
    sealed: httpx.AsyncClient, world: World, target: dict[str, Any]
) -> None:
    created = await sealed.post("/api/v1/schedules", json=schedule(target))
    assert created.status_code == 201, created.text
    schedule_id = created.json()["id"]
    answers = [created.text, (await sealed.get(f"/api/v1/schedules/{schedule_id}")).text]
    shown = created.json()["target"]
    patched = await sealed.patch(
        f"/api/v1/schedules/{schedule_id}", json={"target": {"type": shown["type"], "timeout_seconds": 7}}
    )
    assert patched.status_code == 200, patched.text
    put = await sealed.put(f"/api/v1/schedules/{schedule_id}", json=schedule({**shown, "timeout_seconds": 8}))
    assert put.status_code == 200, put.text
    answers += [patched.text, put.text, (await sealed.get(f"/api/v1/schedules/{schedule_id}/revisions")).text]
    assert put.json()["target"] == {**shown, "timeout_seconds": 8}, "the mark keeps what was there"
    assert "***" in created.text
    assert not any(CANARY in each for each in answers)
    assert CANARY.encode() not in everything(world)


async def test_the_same_create_again_is_a_repeat_although_its_secret_is_sealed(sealed: httpx.AsyncClient) -> None:
    body = {"id": "mine", **schedule(SECRET_TARGETS[0])}
    assert (await sealed.post("/api/v1/schedules", json=body)).status_code == 201
    assert (await sealed.post("/api/v1/schedules", json=body)).status_code == 201
    body["target"] = {**SECRET_TARGETS[0], "headers": {"Authorization": "Bearer other"}}
    assert (await sealed.post("/api/v1/schedules", json=body)).status_code == 409


async def test_routes_fallbacks_batches_and_the_seeds_seal_too(sealed: httpx.AsyncClient, world: World) -> None:
    secret = SECRET_TARGETS[0]
    assert (await sealed.put("/api/v1/routes/a.*", json={"target": secret, "fallback": [secret]})).status_code == 201
    plain = {"url": "https://h.example/"}
    body = {**schedule(plain), "fallback": [secret, SECRET_TARGETS[6]]}
    assert (await sealed.post("/api/v1/schedules:batch", json={"schedules": [body]})).json()["results"][0][
        "status"
    ] == 201
    job = {
        "rrule": "FREQ=DAILY;COUNT=3", "callback_url": "https://h.example/", "name": "n",
        "headers": {"X-Api-Key": CANARY},
    }  # fmt: skip
    made = await sealed.post("/api/schedules", json=job)
    assert made.status_code == 201, made.text
    shown = await sealed.get(f"/api/schedules/{made.json()['id']}")
    again = await sealed.put(f"/api/schedules/{made.json()['id']}", json={"name": "other"})
    assert again.status_code == 200, again.text
    assert CANARY not in shown.text
    assert CANARY.encode() not in everything(world)


async def test_what_looks_like_a_stored_secret_is_refused(sealed: httpx.AsyncClient) -> None:
    for value in ("\0e00000000.AAAA", "\0nname", "***"):
        target = {"url": "https://h.example/", "headers": {"Authorization": value}}
        assert (await sealed.post("/api/v1/schedules", json=schedule(target))).status_code == 422
        target = {"type": "slack", "url": value}
        assert (await sealed.post("/api/v1/schedules", json=schedule(target))).status_code == 422


async def test_without_a_key_a_secret_is_refused_with_the_setting_and_all_else_goes_on(
    keyless: httpx.AsyncClient,
) -> None:
    for target in SECRET_TARGETS:
        answer = await keyless.post("/api/v1/schedules", json=schedule(target))
        assert answer.status_code == 422
        assert "SQUIRREL_ENCRYPTION_KEYS" in answer.text
        assert CANARY not in answer.text
    assert "SQUIRREL_ENCRYPTION_KEYS" in (await keyless.put("/api/v1/secrets/a", json={"value": CANARY})).text
    plain = schedule({"url": "https://h.example/", "headers": {"X-A": "a"}})
    assert (await keyless.post("/api/v1/schedules", json=plain)).status_code == 201
    named = schedule({"url": "https://h.example/", "headers": {"Authorization": {"secret": "a"}}})
    assert (await keyless.post("/api/v1/schedules", json=named)).status_code == 201, "a name is no secret"


async def test_a_named_secret_is_put_listed_rotated_and_removed(sealed: httpx.AsyncClient, world: World) -> None:
    path = "/api/v1/secrets/smtp"
    made = await sealed.put(path, json={"value": CANARY, "description": "of the mail server"})
    assert made.status_code == 201, made.text
    rotated = await sealed.put(path, json={"value": CANARY + "-2", "keep_previous_seconds": 3600})
    assert rotated.status_code == 200
    assert rotated.json()["previous_until"]
    listed = (await sealed.get("/api/v1/secrets")).json()["items"]
    assert [each["name"] for each in listed] == ["smtp"]
    answers = made.text + rotated.text + (await sealed.get(path)).text + str(listed)
    assert CANARY not in answers
    assert CANARY.encode() not in everything(world)
    other = await sealed.get(path, headers={"Squirrel-Namespace": "acme"})
    assert other.status_code == 404
    assert (await sealed.delete(path)).status_code == 204
    assert (await sealed.get(path)).status_code == 404
    assert (await sealed.put(path, json={"description": "no value"})).status_code == 422


async def test_signing_secrets_of_a_target(sealed: httpx.AsyncClient, world: World) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    target = {"url": "https://h.example/", "signing": {"secrets": [secret, {"secret": "old"}]}}
    made = await sealed.post("/api/v1/schedules", json=schedule(target))
    assert made.status_code == 201, made.text
    assert made.json()["target"]["signing"] == {"secrets": ["***", {"secret": "old"}]}
    assert secret.encode() not in everything(world)
    target["signing"] = {"secrets": ["whsec_short"]}
    refused = await sealed.post("/api/v1/schedules", json=schedule(target))
    assert refused.json()["errors"][0]["field"] == "target.signing.secrets[0]"


async def test_breakers_of_no_executor(sealed: httpx.AsyncClient) -> None:
    assert (await sealed.get("/api/v1/breakers")).json()["items"] == []
    assert (await sealed.post("/api/v1/breakers/https:a.example:close")).status_code == 404


async def test_a_routes_signing_secrets_sign_its_webhooks_and_are_stored_sealed(
    sealed: httpx.AsyncClient, world: World
) -> None:
    secret, path = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "/api/v1/routes/a.*"
    own = {"url": "https://own.example/", "signing": {"secrets": [{"secret": "own"}]}}
    body = {
        "target": {"url": "https://h.example/"},
        "fallback": [own, {"topic": "t"}],
        "signing": {"secrets": [secret]},
    }
    made = await sealed.put(path, json=body)
    assert made.status_code == 201, made.text
    shown = made.json()
    assert shown["target"]["signing"] == {"secrets": ["***"]}
    assert [each.get("signing") for each in shown["fallback"]] == [own["signing"], None]
    assert secret.encode() not in everything(world)
    again = await sealed.put(path, json={"target": shown["target"], "fallback": shown["fallback"]})
    assert again.status_code == 200, again.text
    assert again.json()["target"] == shown["target"]
    for wrong in ({"secrets": []}, {"secrets": ["nothing"]}, 5, {"other": 1}):
        refused = await sealed.put(path, json={**body, "signing": wrong})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"].startswith("signing")


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ({"type": "email", "host": "h", "from": "a@b.example\n", "to": ["c@d.example"]}, "target.from"),
        ({"type": "email", "host": "h", "from": "a@b.example", "to": ["c@d.example\n"]}, "target.to"),
        (
            {"type": "email", "host": "h", "from": "a@b.example", "to": ["c@d.example"], "subject": "s\n"},
            "target.subject",
        ),
        ({"url": "http://127.0.0.1/", "auth": {"type": "header", "name": "X-Key\n", "value": "v"}}, "target.auth.name"),
    ],
)
async def test_no_line_break_ends_what_becomes_a_header(sealed: httpx.AsyncClient, target: Any, field: str) -> None:
    answer = await sealed.post("/api/v1/schedules", json=schedule(target))
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == [field]

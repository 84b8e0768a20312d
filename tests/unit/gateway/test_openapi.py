"""The OpenAPI document: true to the routes, complete, and with examples that work."""

from __future__ import annotations

import re
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from squirrel.gateway.problems import KINDS
from tests.unit.gateway.world import World, create_app

API_MD = """
POST /api/v1/schedules · POST /api/v1/schedule · POST /api/v1/schedules:batch · GET /api/v1/schedules
GET /api/v1/schedules/{id} · PUT /api/v1/schedules/{id} · PATCH /api/v1/schedules/{id} · DELETE /api/v1/schedules/{id}
POST /api/v1/schedules/{id}:pause · POST /api/v1/schedules/{id}:resume · POST /api/v1/schedules/{id}:trigger
GET /api/v1/schedules/{id}/runs · GET /api/v1/runs · GET /api/v1/runs/{run} · POST /api/v1/runs/{run}:replay
GET /api/v1/routes · GET /api/v1/routes/{pattern} · PUT /api/v1/routes/{pattern} · DELETE /api/v1/routes/{pattern}
POST /api/v1/preview · GET /api/v1/presets · GET /api/v1/upcoming · GET /api/v1/stream · POST /api/v1/schedules:bulk
GET /api/v1/operations/{operation} · POST /api/v1/schedules/{id}:preview-resume · POST /api/v1/schedules/{id}:rollback
GET /api/v1/schedules/{id}/revisions · GET /api/v1/schedules/{id}/revisions/{n} · GET /api/v1/calendars
GET /api/v1/calendars/{name} · PUT /api/v1/calendars/{name} · DELETE /api/v1/calendars/{name} · GET /api/v1/templates
GET /api/v1/templates/{name} · PUT /api/v1/templates/{name} · DELETE /api/v1/templates/{name}
GET /api/v1/dead-letters · GET /api/v1/stats · GET /healthz · GET /readyz · GET /health · GET /metrics
"""


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(m.upper(), path, each) for path, methods in document["paths"].items() for m, each in methods.items()]


async def test_every_call_of_the_contract_is_there(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    listed = {f"{method} {path}" for method, path, _ in operations(document)}
    assert set(re.findall(r"[A-Z]+ /\S+", API_MD)) <= listed


async def test_every_reference_leads_somewhere(api: httpx.AsyncClient) -> None:
    text = (await api.get("/openapi.json")).text
    document = (await api.get("/openapi.json")).json()
    for pointer in set(re.findall(r'"\$ref":"#/([^"]+)"', text)):
        at: Any = document
        for key in pointer.split("/"):
            at = at[key]
    names = [each["operationId"] for _, _, each in operations(document)]
    assert all(names)
    assert all(each["summary"] for _, _, each in operations(document))
    assert all("default" not in each["responses"] for _, _, each in operations(document))


async def test_examples_are_taken(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    for method, path, operation in operations(document):
        if method == "POST" and "requestBody" in operation and "{" not in path:
            example = operation["requestBody"]["content"]["application/json"]["example"]
            answer = await api.post(path, json=example)
            assert answer.status_code in (200, 201), answer.text


async def test_routes_and_document_are_one_table(world: World) -> None:
    app: FastAPI = create_app(world.deps())
    document = app.openapi()
    served = {route.path for route in app.router.routes if isinstance(route, Route)}
    described = {re.sub(r"(\{\w+\}):[a-z-]+$", r"\1", path) for path in document["paths"]}
    assert {path for path in served - described if path.startswith("/api/v1")} == set()
    assert described <= served


async def test_a_target_may_be_of_every_type_that_is_listed(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    types = (await api.get("/api/v1/target-types")).json()["items"]
    for name in ("Target", "FallbackTarget"):
        found = document["components"]["schemas"][name]
        assert "installed" in found["description"]
        branches = {each["properties"]["type"]["enum"][0]: each for each in found["oneOf"]}
        assert list(branches) == [each["type"] for each in types]
        law = jsonschema_rs.Draft202012Validator({**document, "$ref": f"#/components/schemas/{name}"})
        for each in types:
            law.validate(each["example"])
            whole = each["schema"]
            config = whole["$defs"][whole["$ref"].rpartition("/")[2]] if "$ref" in whole else whole
            own = set(config["properties"])
            assert own <= branches[each["type"]]["properties"].keys() | {"headers"}
            assert not law.is_valid(each["example"] | {"unknown": 1})
    slack = {"type": "slack", "url": {"secret": "slack_ops"}, "timeout_seconds": 5}
    auth = {"url": "https://hooks.example.com/", "auth": {"type": "bearer", "token": {"secret": "token"}}}
    law = jsonschema_rs.Draft202012Validator({**document, "$ref": "#/components/schemas/Target"})
    for target in (slack, auth):
        law.validate(target)
        body = {"event": "e", "when": {"in_seconds": 60}, "target": target}
        answer = await api.post("/api/v1/schedules", json=body)
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_titles_are_sentences_without_details(kind: str) -> None:
    status, title = KINDS[kind]
    assert 400 <= status <= 599
    assert title[0].isupper()

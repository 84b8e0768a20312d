"""Laws of the door: whatever is sent, the answer is never a 500, and a 4xx is always a problem document."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.gateway.world import HOOK, client_of, create_app, one_shot, running_world


def encodable(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "id",
        "event",
        "name",
        "tags",
        "metadata",
        "message",
        "target",
        "when",
        "retry",
        "fallback",
        "group",
        "sendAt",
        "x",
    ]
)
WHEN = st.sampled_from(
    ["at", "in_seconds", "cron", "rrule", "every", "after", "on_event", "timezone", "start", "end", "dst"]
)
NEARLY = st.builds(
    lambda changes, when: one_shot(**(({"when": when} if when else {}) | changes)),
    st.dictionaries(FIELDS, JSON, max_size=3),
    st.dictionaries(WHEN, JSON, max_size=2),
)
BODIES = st.binary(max_size=200) | st.builds(orjson.dumps, NEARLY.filter(encodable))
CALLS = st.sampled_from(
    [
        ("POST", "/api/v1/schedules"), ("POST", "/api/v1/schedules:batch"), ("PUT", "/api/v1/schedules/known"),
        ("PATCH", "/api/v1/schedules/known"), ("PUT", "/api/v1/routes/a.*"), ("POST", "/api/v1/runs/run_1:replay"),
        ("POST", "/api/v1/schedules/known:pause"), ("DELETE", "/api/v1/schedules/unknown"),
    ]
)  # fmt: skip
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)


def in_a_world(check: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """One world for all examples of a test: a world per example would spend its time on opening databases."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with running_world(Path(folder)) as world, client_of(create_app(world.deps())) as api:
                await api.post("/api/v1/schedules", json=one_shot(id="known"))
                await check(api)

    asyncio.run(run())


def lawful(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem["detail"]
        if answer.status_code == 422:
            assert problem["errors"], problem


EXAMPLES = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EXAMPLES
@given(st.lists(st.tuples(CALLS, BODIES), min_size=10, max_size=30))
def test_any_body(calls: list[tuple[tuple[str, str], bytes]]) -> None:
    async def check(api: httpx.AsyncClient) -> None:
        for (method, path), body in calls:
            lawful(await api.request(method, path, content=body))

    in_a_world(check)


LISTS = st.sampled_from(["/api/v1/schedules", "/api/v1/runs", "/api/v1/dead-letters", "/api/v1/schedules/known/runs"])
PARAMETERS = st.sampled_from(["limit", "cursor", "state", "event", "tag", "q", "from", "to", "z"])
HEADERS = st.sampled_from(["squirrel-namespace", "if-match", "prefer", "idempotency-key", "authorization"])
QUERIES = st.dictionaries(PARAMETERS, st.text(max_size=30))


@EXAMPLES
@given(st.lists(st.tuples(LISTS, QUERIES, st.dictionaries(HEADERS, HEADER)), min_size=10, max_size=30))
def test_any_parameter_and_header(calls: list[tuple[str, dict[str, str], dict[str, str]]]) -> None:
    async def check(api: httpx.AsyncClient) -> None:
        for path, parameters, headers in calls:
            sent = {name: value.encode("latin-1") for name, value in headers.items()}
            lawful(await api.get(path, params=parameters, headers=sent))
            lawful(await api.post("/api/v1/schedules", json=one_shot(), headers=sent))
            lawful(await api.delete("/api/v1/schedules/unknown", headers=sent))

    in_a_world(check)


@EXAMPLES
@given(st.lists(st.text(max_size=40), min_size=5, max_size=10))
def test_any_path(ids: list[str]) -> None:
    async def check(api: httpx.AsyncClient) -> None:
        for each in ids:
            quoted = quote(each.encode("utf-8", "surrogatepass"), safe="")
            for path in (
                f"/api/v1/schedules/{quoted}",
                f"/api/v1/runs/{quoted}",
                f"/api/v1/routes/{quoted}",
                f"/{quoted}",
            ):
                for method in ("GET", "POST", "DELETE"):
                    lawful(await api.request(method, path))
            lawful(await api.put(f"/api/v1/routes/{quoted}", json={"target": HOOK}))

    in_a_world(check)


STATED: list[tuple[bytes, int, str]] = [
    (b"{", 400, "body"),
    (b"[1]", 422, "body"),
    (b'"text"', 422, "body"),
    (b'{"event": 5}', 422, "event"),
    (orjson.dumps(one_shot(evnt=1)), 422, "evnt"),
    (orjson.dumps(one_shot(when={"at": "2027-01-01T10:00:00"})), 422, "when.at"),
    (orjson.dumps(one_shot(when={"at": "2027-02-30T10:00:00Z"})), 422, "when.at"),
    (orjson.dumps(one_shot(retry={"max_retries": -2})), 422, "retry.max_retries"),
    (orjson.dumps(one_shot(target={"type": "carrier-pigeon", "url": "https://x.example"})), 422, "target.type"),
    (orjson.dumps(one_shot(target={"type": "http", "url": "https:///path"})), 422, "target.url"),
    (orjson.dumps(one_shot(target={"type": "http", "url": "https://u:p@x.example/"})), 422, "target.url"),
    (orjson.dumps(one_shot(target=HOOK | {"headers": {"X-A": "b\r\nX-C: d"}})), 422, "target.headers.X-A"),
    (orjson.dumps(one_shot(tags=["x" * 1_000_000])), 422, "tags[0]"),
    (orjson.dumps(one_shot(event="a\0b")), 422, "event"),
    (b'{"event": "\\ud800"}', 422, "event"),
    (b"[" * 100_000, 422, "body"),
    (b'{"message": ' + b"[" * 500 + b"]" * 500 + b"}", 422, "message"),
    (b'{"event": "a", "event": "b"}', 422, "event"),
    (b'{"event": "a", "when": {"in_seconds": 1e400}}', 422, "when.in_seconds"),
]


@pytest.mark.parametrize(("body", "status", "field"), STATED)
async def test_the_stated_bad_input(api: httpx.AsyncClient, body: bytes, status: int, field: str) -> None:
    answer = await api.post("/api/v1/schedules", content=body)
    lawful(answer)
    assert answer.status_code == status, answer.text
    assert field in [each["field"] for each in answer.json()["errors"]]

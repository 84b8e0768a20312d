"""Redis Scheduler: every request of its document and of wire.md 1, and what its webhooks receive."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.eventually import eventually
from tests.system.compat.conftest import TOKEN
from tests.system.dev.sink import Sink

UNAUTHORIZED = {"data": "Unauthorized.", "status": 401}
NOT_FOUND = {"error": "Schedule not found.", "status": 404}
NO_ROUTE = {"error": "Route not found.", "status": 404}
FAR = {"webhook": "https://example.com/webhook", "ttl": 120, "data": {"message": "Hello, World!"}}


async def created(api: httpx.AsyncClient, kind: str = "", **fields: Any) -> str:
    answer = await api.post(f"/schedule{kind}", json={**FAR, **fields})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"data", "status"}
    assert body["status"] == 200
    return str(body["data"])


async def test_it_is_running_without_a_token(dev: Any) -> None:
    async with httpx.AsyncClient(base_url=dev.url) as stranger:
        answer = await stranger.get("/", headers={"Accept": "*/*"})
        assert (answer.status_code, answer.json()) == (200, {"data": "Scheduler service is running.", "status": 200})
        page = await stranger.get("/", headers={"Accept": "text/html"}, follow_redirects=True)
        assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("header", [{}, {"Authorization": "wrong"}])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/schedule"), ("GET", "/schedules"), ("GET", "/schedule/x"), ("GET", "/stats"), ("POST", "/purge")],
)
async def test_every_path_but_the_first_needs_the_token(
    dev: Any, method: str, path: str, header: dict[str, str]
) -> None:
    async with httpx.AsyncClient(base_url=dev.url, headers=header) as stranger:
        answer = await stranger.request(method, path)
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


async def test_a_task_from_creation_to_deletion(api: httpx.AsyncClient) -> None:
    key = await created(api)
    assert re.fullmatch(r"rsch-ref:default:[0-9a-f]{32}", key)
    bare = key.rpartition(":")[2]
    for form in (key, bare, f"rsch:ref-{bare}"):
        task = (await api.get(f"/schedule/{form}")).json()["data"]
        assert task["data"] == FAR["data"]
        assert task["info"] | {"expires": ""} == {
            "expires": "", "key": form, "retry": 0, "ttl": 120, "webhook": FAR["webhook"],
        }  # fmt: skip
    listed = (await api.get("/schedules")).json()
    assert key in [each["info"]["key"] for each in listed["data"]]
    answer = await api.patch(
        f"/schedule/{bare}",
        json={"webhook": "https://example.com/new-webhook", "ttl": 180, "data": {"message": "Updated message"}},
    )
    assert (answer.status_code, answer.json()) == (200, {"data": "Schedule updated successfully.", "status": 200})
    task = (await api.get(f"/schedule/{key}")).json()["data"]
    assert (task["data"], task["info"]["ttl"]) == ({"message": "Updated message"}, 180)
    assert task["info"]["webhook"] == "https://example.com/new-webhook"
    answer = await api.delete(f"/schedule/{key}")
    assert (answer.status_code, answer.json()) == (200, {"data": "Schedule deleted successfully.", "status": 200})
    for method in ("GET", "PATCH", "DELETE"):
        answer = await api.request(method, f"/schedule/{key}", json={} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


async def test_every_patch_restarts_the_countdown(api: httpx.AsyncClient) -> None:
    key = await created(api)
    before = (await api.get(f"/schedule/{key}")).json()["data"]["info"]["expires"]
    await eventually(lambda: _expires_later(api, key, before), 5)


async def _expires_later(api: httpx.AsyncClient, key: str, before: str) -> bool:
    assert (await api.patch(f"/schedule/{key}", json={"ttl": 0, "webhook": "", "data": None})).status_code == 200
    info = (await api.get(f"/schedule/{key}")).json()["data"]["info"]
    assert info["ttl"] == 120
    return bool(info["expires"] > before)


def required(field: str, tag: str = "required") -> str:
    return f"Key: 'RequestData.{field}' Error:Field validation for '{field}' failed on the '{tag}' tag"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF"),
        (b'{"webhook":"https://example.com/","data":1}', required("TTL")),
        (b'{"webhook":"https://example.com/","data":1,"ttl":0}', required("TTL")),
        (b'{"webhook":"https://example.com/","data":1,"ttl":-1}', required("TTL", "min")),
        (b'{"webhook":"","data":null}', "\n".join([required("Webhook"), required("TTL"), required("Data")])),
        (
            b'{"webhook":5,"data":1,"ttl":1}',
            "json: cannot unmarshal number into Go struct field RequestData.webhook of type string",
        ),
        (
            b'{"webhook":"https://example.com/","data":1,"ttl":1.5}',
            "json: cannot unmarshal number into Go struct field RequestData.ttl of type int",
        ),
    ],
)
async def test_what_create_refuses(api: httpx.AsyncClient, body: bytes, text: str) -> None:
    answer = await api.post("/schedule", content=body)
    assert (answer.status_code, answer.json()) == (400, {"error": f"Invalid input: {text}", "status": 400})


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"webhook":"nowhere","ttl":1,"data":1}'])
async def test_what_cannot_be_read_or_called(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("/schedule", content=body)
    assert answer.status_code == answer.json()["status"] == 400
    assert answer.json()["error"].startswith("Invalid input: ")


@pytest.mark.parametrize("data", [0, False, "", {}, [], {"a": [1, {"b": None}]}])
async def test_any_data_but_null_is_taken(api: httpx.AsyncClient, data: Any) -> None:
    key = await created(api, data=data)
    assert (await api.get(f"/schedule/{key}")).json()["data"]["data"] == data


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/schedule"), ("GET", "/schedule"), ("POST", "/schedules"), ("PUT", "/schedule/x"), ("GET", "/purge")],
)
async def test_another_method_is_another_route(api: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await api.request(method, path)
    assert (answer.status_code, answer.json()) == (404, NO_ROUTE)


async def test_types_are_matched_as_globs(api: httpx.AsyncClient) -> None:
    key = await created(api, "?type=mail-out")
    assert key.startswith("rsch-ref:mail-out:")
    for pattern, found in (("mail*", True), ("mail-ou?", True), ("mail", False), ("default", False)):
        listed = (await api.get("/schedules", params={"type": pattern})).json()["data"]
        assert (key in [each["info"]["key"] for each in listed]) is found, pattern


async def test_stats(api: httpx.AsyncClient) -> None:
    await created(api)
    stats = (await api.get("/stats")).json()["data"]
    assert list(stats) == [
        "cpu_usage", "go_routines", "ram_usage", "ram_usage_bytes", "running_schedules", "system_uptime",
        "total_redis_keys",
    ]  # fmt: skip
    assert stats["running_schedules"] >= 1
    assert stats["total_redis_keys"] == 2 * stats["running_schedules"]
    assert stats["ram_usage_bytes"] > 1_000_000
    assert re.fullmatch(r"\d+\.\d\d[KMG]B", stats["ram_usage"])


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/schedules"), ("POST", "/purge")])
async def test_purge(api: httpx.AsyncClient, method: str, path: str) -> None:
    key = await created(api)
    answer = await api.request(method, path)
    assert (answer.status_code, answer.json()) == (200, {"data": "Redis database purged successfully.", "status": 200})
    assert (await api.get(f"/schedule/{key}")).status_code == 404
    assert (await api.get("/schedules")).json() == {"data": [], "status": 200}


async def test_the_webhook_gets_the_data_and_the_token(api: httpx.AsyncClient, sink: Sink) -> None:
    key = await created(api, webhook=sink.url, ttl=1, data={"message": "Hello"})
    native = (await api.get(f"/api/v1/schedules/{key}")).json()
    assert native["target"]["headers"] == {"Authorization": "***"}
    received = (await sink.count(1))[0]
    assert received.body == b'{"message":"Hello"}'
    assert received.headers["authorization"] == TOKEN
    assert received.headers["content-type"] == "application/json"
    await eventually(lambda: _is_gone(api, key), 10)


async def _is_gone(api: httpx.AsyncClient, key: str) -> bool:
    return (await api.get(f"/schedule/{key}")).status_code == 404


async def test_a_patch_between_two_tries_mends_the_retry(api: httpx.AsyncClient, sink: Sink) -> None:
    async with Sink(503) as failing:
        key = await created(api, webhook=failing.url, ttl=1)
        await failing.count(1)

        async def waits_for_its_retry() -> bool:
            return bool((await api.patch(f"/schedule/{key}", json={"webhook": sink.url})).status_code == 200)

        await eventually(waits_for_its_retry, 5)  # 409 while the call is under way
        await sink.count(1)
        await eventually(lambda: _is_gone(api, key), 10)
        assert (len(failing.received), len(sink.received)) == (1, 1)


@pytest.mark.parametrize("status", [201, 404, 410, 503])
async def test_only_200_delivers_and_retries_are_counted(api: httpx.AsyncClient, status: int) -> None:
    async with Sink(status) as failing:
        key = await created(api, webhook=failing.url, ttl=1)
        received = await failing.count(2)
        info = (await api.get(f"/schedule/{key}")).json()["data"]["info"]
        assert info["retry"] in (1, 2)
        received = await failing.count(3)  # RETRIES=2: two after the first
        assert 0.9 <= (received[1].at_ms - received[0].at_ms) / 1000 <= 3.0  # RETRY_TIME=1
        await eventually(lambda: _is_gone(api, key), 10)
        assert len(failing.received) == 3

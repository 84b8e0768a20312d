"""Revisions: kept, compared, restored."""

from __future__ import annotations

from typing import Any

import httpx

from tests.unit.gateway.world import one_shot

PATH = "/api/v1/schedules/r1"


async def changed(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.patch(PATH, json=fields)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_a_way_back(api: httpx.AsyncClient) -> None:
    first = (await api.post("/api/v1/schedules", json=one_shot(id="r1"))).json()
    await changed(api, message={"n": 2}, tags=["late"])
    await changed(api, when={"at": "2027-07-01T10:00:00Z"})
    items = (await api.get(f"{PATH}/revisions")).json()["items"]
    assert [each["revision"] for each in items] == [3, 2, 1]
    assert [each["current"] for each in items] == [True, False, False]
    assert items[1]["changed"] == ["when.at"]
    old = (await api.get(f"{PATH}/revisions/1")).json()
    assert old["schedule"]["message"] == {"n": 1}
    assert {"field": "message", "before": {"n": 1}, "after": {"n": 2}} in old["diff"]
    assert {"field": "tags", "before": [], "after": ["late"]} in old["diff"]
    assert (await api.get(f"{PATH}/revisions/3")).json()["diff"] == []
    between = (await api.get(f"{PATH}/revisions/1?against=2")).json()["diff"]
    assert [each["field"] for each in between] == ["tags", "message"]
    assert (await api.get(f"{PATH}/revisions/1?against=77")).status_code == 404
    back = await api.post(f"{PATH}:rollback", json={"revision": 1})
    assert back.status_code == 200, back.text
    assert back.json()["revision"] == 4
    for name in ("message", "tags", "when", "next_run"):
        assert back.json()[name] == first[name]


async def test_what_is_not_kept(api: httpx.AsyncClient) -> None:
    await api.post("/api/v1/schedules", json=one_shot(id="r1"))
    assert (await api.get(f"{PATH}/revisions/9")).status_code == 404
    assert (await api.get(f"{PATH}/revisions/x")).status_code == 404
    assert (await api.get("/api/v1/schedules/none/revisions")).status_code == 404
    for body in ({"revision": 9}, {}, {"revision": "1"}, {"revision": True}, {"revision": 1, "more": 1}):
        answer = await api.post(f"{PATH}:rollback", json=body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] in ("revision", "more")
    stale = await api.post(f"{PATH}:rollback", json={"revision": 1}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412


async def test_secrets_stay_hidden_and_big_numbers_whole(api: httpx.AsyncClient) -> None:
    target = {"type": "http", "url": "https://hooks.example.com/", "headers": {"Authorization": "Bearer s3cret"}}
    body = one_shot(id="r1", target=target) | {"message": {}}
    raw = httpx.Request("POST", "http://x", json=body).content.replace(
        b'"message":{}', b'"message":{"n":' + b"9" * 30 + b"}"
    )
    assert (await api.post("/api/v1/schedules", content=raw)).status_code == 201
    await changed(api, name="other")
    shown = (await api.get(f"{PATH}/revisions/1")).text
    assert "s3cret" not in shown
    assert "9" * 30 in shown

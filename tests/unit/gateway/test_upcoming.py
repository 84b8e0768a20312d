"""What is coming, counted by bucket over all owners."""

from __future__ import annotations

from typing import Any

import httpx

from squirrel.model.instants import format_instant
from tests.unit.gateway.world import NOW_MS, World, one_shot

DAY_MS = 86_400_000
PATH = "/api/v1/upcoming"


async def create(api: httpx.AsyncClient, **fields: Any) -> None:
    answer = await api.post("/api/v1/schedules", json=one_shot(**fields))
    assert answer.status_code == 201, answer.text


async def test_the_spike_is_seen(api: httpx.AsyncClient) -> None:
    at = format_instant(NOW_MS + 2 * 3_600_000 + 60_000)
    for number in range(3):
        await create(api, id=f"once-{number}", when={"at": at})
    await create(api, id="hourly", when={"every": {"interval": "hour"}})
    await create(api, id="often", when={"every": {"interval": "minute", "value": 20}})
    await create(api, id="paused", when={"every": {"interval": "hour"}})
    await api.post("/api/v1/schedules/paused:pause")
    await create(api, id="later", when={"at": format_instant(NOW_MS + 2 * DAY_MS)})
    answer = await api.get(PATH)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["complete"]
    assert shown["bucket_seconds"] == 3600
    assert shown["total"] == 3 + 23 + 71
    assert shown["schedules"] == 5
    assert shown["busiest"]["start"] == format_instant(NOW_MS + 2 * 3_600_000)
    assert shown["busiest"]["count"] == 3 + 1 + 3
    assert shown["busiest"]["top"][0] == {"id": "often", "count": 3}
    assert len(shown["busiest"]["top"]) == 5
    assert sum(each["count"] for each in shown["buckets"]) == shown["total"]


async def test_the_window_is_from_up_to_to(api: httpx.AsyncClient) -> None:
    await create(api, id="a", when={"every": {"interval": "hour"}, "max_runs": 3})
    hour = 3_600_000
    where = {"from": format_instant(NOW_MS + 2 * hour), "to": format_instant(NOW_MS + 9 * hour), "bucket": "60"}
    shown = (await api.get(PATH, params=where)).json()
    assert [each["start"] for each in shown["buckets"]] == [format_instant(NOW_MS + n * hour) for n in (2, 3)]
    other = await api.get(PATH, headers={"Squirrel-Namespace": "other"})
    assert (other.json()["total"], other.json()["busiest"]) == (0, None)


async def test_a_rule_too_quick_says_so(api: httpx.AsyncClient, world: World) -> None:
    await create(api, id="a", when={"every": {"interval": "second"}})
    shown = (await api.get(PATH)).json()
    assert not shown["complete"]
    assert shown["warnings"]
    assert shown["total"] == 1500


async def test_bad_windows_name_the_parameter(api: httpx.AsyncClient) -> None:
    for params, field in [
        ({"bucket": "week"}, "bucket"), ({"bucket": "0"}, "bucket"), ({"bucket": "1"}, "bucket"), ({"from": "now"}, "from"),
        ({"from": "2027-02-02T00:00:00Z", "to": "2027-02-01T00:00:00Z"}, "to"), ({"till": "x"}, "till"),
    ]:  # fmt: skip
        answer = await api.get(PATH, params=params)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), params

"""Calendars: put, shown, named by schedules, taken away."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.unit.gateway.world import one_shot

PATH = "/api/v1/calendars/off"
ICAL = """BEGIN:VCALENDAR
BEGIN:VEVENT
SUMMARY:two days, every year
DTSTART;VALUE=DATE:20270101
DTEND;VALUE=DATE:20270103
RRULE:FREQ=YEARLY;UNTIL=20280630
END:VEVENT
BEGIN:VEVENT
DTSTART:20270301T090000Z
DTEND:20270301T100000Z
EXDATE:20280301T090000Z
BEGIN:VALARM
DTSTART:20500101
END:VALARM
END:VEVENT
BEGIN:VEVENT
DTSTART:20270401
STATUS:CANCELLED
END:VEVENT
END:VCALENDAR"""


async def put(api: httpx.AsyncClient, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    answer = await api.put(PATH, json=body)
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_a_calendars_life(api: httpx.AsyncClient) -> None:
    made = await put(api, {"dates": ["2027-12-25", "2027-01-01"], "weekend": ["Sunday", "saturday"]})
    assert made["dates"] == ["2027-01-01", "2027-12-25"]
    assert made["weekend"] == ["saturday", "sunday"]
    changed = await put(api, {"weekend": ["sunday"]}, 200)
    assert changed["created_at"] == made["created_at"]
    assert (await api.get(PATH)).json() == changed
    items = (await api.get("/api/v1/calendars")).json()["items"]
    assert [(each["name"], each["days"]) for each in items] == [("off", 0)]
    assert (await api.get(PATH, headers={"Squirrel-Namespace": "other"})).status_code == 404
    assert (await api.delete(PATH)).status_code == 204
    assert (await api.get(PATH)).status_code == 404
    assert (await api.delete(PATH)).status_code == 404


async def test_an_icalendar_text(api: httpx.AsyncClient) -> None:
    folded = ICAL.replace("FREQ=YEARLY", "FREQ=YEA\n RLY")
    for text in (ICAL, ICAL.replace("\n", "\r\n"), folded):
        assert (await api.put(PATH, json={"ical": text})).is_success
        dates = (await api.get(PATH)).json()["dates"]
        assert dates == ["2027-01-01", "2027-01-02", "2027-03-01", "2028-01-01", "2028-01-02"]


async def test_a_countrys_days_say_which_years(api: httpx.AsyncClient) -> None:
    made = await put(api, {"country": "de", "subdivision": "BY"})
    assert "2027-01-06" in made["dates"]  # Epiphany, in Bavaria
    assert made["covers"] == {"from": "2026-01-01", "to": "2037-12-31"}
    everywhere = await put(api, {"country": "DE"}, 200)
    assert "2027-01-06" not in everywhere["dates"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "dates"),
        ({"dates": ["2027-02-30"]}, "dates[0]"),
        ({"dates": ["2027-1-1"]}, "dates[0]"),
        ({"dates": ["2027-01-01"], "ical": ICAL}, "ical"),
        ({"dates": "2027-01-01"}, "dates"),
        ({"dates": ["2027-01-01"] * 5001}, "dates"),
        ({"country": "XX"}, "country"),
        ({"country": "DE", "subdivision": "ZZ"}, "subdivision"),
        ({"subdivision": "BY", "dates": []}, "subdivision"),
        ({"weekend": ["someday"]}, "weekend[0]"),
        ({"weekend": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]}, "weekend"),
        ({"date": ["2027-01-01"]}, "date"),
        ({"ical": "hello"}, "ical"),
        ({"ical": "BEGIN:VCALENDAR\nEND:VCALENDAR"}, "ical"),
        ({"ical": "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20270101\n"}, "ical"),
        ({"ical": ICAL.replace("FREQ=YEARLY", "FREQ=SOMETIMES")}, "ical"),
        ({"ical": ICAL.replace("FREQ=YEARLY;UNTIL=20280630", "FREQ=SECONDLY")}, "ical"),
        ({"ical": ICAL.replace("DTEND;VALUE=DATE:20270103", "DTEND:20990101")}, "ical"),
        ({"ical": ICAL.replace("20270103", "20270230")}, "ical"),
        ({"ical": 5}, "ical"),
    ],
)
async def test_bad_calendars_name_the_field(api: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    answer = await api.put(PATH, json=body)
    assert answer.status_code == 422, answer.text
    assert field in [each["field"] for each in answer.json()["errors"]]


async def test_ten_megabytes_are_too_large(api: httpx.AsyncClient) -> None:
    answer = await api.put(PATH, json={"ical": "BEGIN:VCALENDAR" + "\nX:y" * 2_500_000})
    assert answer.status_code == 413


async def test_names(api: httpx.AsyncClient) -> None:
    for name in ("2027", "a b", "-x", "ä"):
        answer = await api.put(f"/api/v1/calendars/{name}", json={"weekend": ["sunday"]})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "name"), name


async def test_schedules_name_calendars_that_exist(api: httpx.AsyncClient) -> None:
    body = one_shot(id="daily", when={"cron": "0 9 * * *", "exclude": ["off"]})
    refused = await api.post("/api/v1/schedules", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "when.exclude[0]")
    batch = (await api.post("/api/v1/schedules:batch", json={"schedules": [body]})).json()
    assert batch["results"][0]["status"] == 422
    await put(api, {"dates": ["2027-02-02"]})
    preview = {"when": body["when"], "from": "2027-02-01T00:00:00Z", "count": 2}
    runs = (await api.post("/api/v1/preview", json=preview)).json()["runs"]
    assert runs == ["2027-02-01T09:00:00.000Z", "2027-02-03T09:00:00.000Z"]
    made = await api.post("/api/v1/schedules", json=one_shot(id="plain", when={"cron": "0 9 * * *"}))
    assert made.status_code == 201
    patch = await api.patch("/api/v1/schedules/plain", json={"when": {"exclude": ["nobody"]}})
    assert (patch.status_code, patch.json()["errors"][0]["field"]) == (422, "when.exclude[0]")

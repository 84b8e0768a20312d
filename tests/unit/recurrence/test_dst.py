"""Clock changes: every policy on every kind of change, and the defaults of each kind of rule."""

from __future__ import annotations

import pytest

from squirrel.model.when import DstPolicy, Every, When
from squirrel.recurrence import tzdata_version, zone_names
from squirrel.recurrence.zone import zone_named
from tests.unit.recurrence.asking import NEW_YORK, cron, ms, runs
from tests.unit.recurrence.oracle import info


@pytest.mark.parametrize(
    ("zone", "expression", "gap", "from_text", "expected"),
    [
        (NEW_YORK, "30 2 * * *", "next", "2027-03-14T05:00:00", "2027-03-14T07:00:00"),
        (NEW_YORK, "30 2 * * *", "shift", "2027-03-14T05:00:00", "2027-03-14T07:30:00"),
        (NEW_YORK, "30 2 * * *", "skip", "2027-03-14T05:00:00", "2027-03-15T06:30:00"),
        ("Australia/Lord_Howe", "15 2 * * *", "next", "2027-10-02T00:00:00", "2027-10-02T15:30:00"),
        ("Australia/Lord_Howe", "15 2 * * *", "shift", "2027-10-02T00:00:00", "2027-10-02T15:45:00"),
        ("Pacific/Apia", "0 9 * * *", "next", "2011-12-29T20:00:00", "2011-12-30T10:00:00"),
        ("Pacific/Apia", "0 9 * * *", "shift", "2011-12-29T20:00:00", "2011-12-30T19:00:00"),
        ("Pacific/Apia", "0 9 * * *", "skip", "2011-12-29T20:00:00", "2011-12-30T19:00:00"),
        ("Asia/Beirut", "0 0 * * *", "next", "2027-03-27T12:00:00", "2027-03-27T22:00:00"),
        ("America/Sao_Paulo", "0 0 * * *", "next", "2018-11-03T12:00:00", "2018-11-04T03:00:00"),
        ("America/Sao_Paulo", "0 0 * * *", "skip", "2018-11-03T12:00:00", "2018-11-05T02:00:00"),
        ("Europe/Dublin", "30 1 * * *", "next", "2027-03-27T12:00:00", "2027-03-28T01:00:00"),
    ],
)
def test_gaps(zone: str, expression: str, gap: str, from_text: str, expected: str) -> None:
    assert runs(cron(expression, zone, gap), from_text, 1) == [expected]


@pytest.mark.parametrize(
    ("zone", "expression", "overlap", "from_text", "expected"),
    [
        (NEW_YORK, "30 1 * * *", "first", "2027-11-07T00:00:00", ["2027-11-07T05:30:00", "2027-11-08T06:30:00"]),
        (NEW_YORK, "30 1 * * *", "last", "2027-11-07T00:00:00", ["2027-11-07T06:30:00", "2027-11-08T06:30:00"]),
        (NEW_YORK, "30 1 * * *", "both", "2027-11-07T00:00:00", ["2027-11-07T05:30:00", "2027-11-07T06:30:00"]),
        (
            "Australia/Lord_Howe",
            "45 1 * * *",
            "both",
            "2027-04-03T10:00:00",
            ["2027-04-03T14:45:00", "2027-04-03T15:15:00"],
        ),
        ("Europe/Dublin", "30 1 * * *", "last", "2027-10-30T12:00:00", ["2027-10-31T01:30:00", "2027-11-01T01:30:00"]),
        (
            "America/Sao_Paulo",
            "30 23 * * *",
            "both",
            "2018-02-17T12:00:00",
            ["2018-02-18T01:30:00", "2018-02-18T02:30:00"],
        ),
    ],
)
def test_overlaps(zone: str, expression: str, overlap: str, from_text: str, expected: list[str]) -> None:
    assert runs(cron(expression, zone, None, overlap), from_text, 2) == expected


def test_defaults_of_each_kind() -> None:
    start = ms("2027-03-13T07:30:00")
    rrule = When(rrule="DTSTART;TZID=America/New_York:20270313T023000\nRRULE:FREQ=DAILY")
    every = When(every=Every("day", 1, start), timezone=NEW_YORK)
    elapsed = When(every=Every("hour", 24, start), timezone=NEW_YORK)
    assert runs(cron("30 2 * * *", NEW_YORK), "2027-03-14T00:00:00", 1) == ["2027-03-14T07:00:00"]
    assert runs(rrule, "2027-03-14T00:00:00", 1) == ["2027-03-14T07:30:00"]
    assert runs(every, "2027-03-14T00:00:00", 2) == ["2027-03-14T07:30:00", "2027-03-15T06:30:00"]
    assert runs(elapsed, "2027-03-14T00:00:00", 2) == ["2027-03-14T07:30:00", "2027-03-15T07:30:00"]


def test_half_a_policy_leaves_the_other_half_at_its_default() -> None:
    assert runs(cron("30 1 * * *", NEW_YORK, gap="skip"), "2027-11-07T00:00:00", 2)[1] == "2027-11-08T06:30:00"
    hourly = When(cron="0 * * * *", timezone=NEW_YORK, dst=DstPolicy(None, "first"))
    assert runs(hourly, "2027-11-07T05:00:00", 2) == ["2027-11-07T05:00:00", "2027-11-07T07:00:00"]


def test_two_slots_on_one_instant_are_one_run() -> None:
    shifted = cron("30 2,3 * * *", NEW_YORK, "shift")
    assert runs(shifted, "2027-03-14T00:00:00", 2) == ["2027-03-14T07:30:00", "2027-03-15T06:30:00"]


def test_casablanca_leaves_dst_for_ramadan() -> None:
    found = runs(cron("0 9 * * *", "Africa/Casablanca"), "2025-02-22T00:00:00", 3)
    assert found == ["2025-02-22T08:00:00", "2025-02-23T09:00:00", "2025-02-24T09:00:00"]


def test_pieces_agree_with_zoneinfo_in_every_zone() -> None:
    for name in sorted(zone_names())[::7]:
        zone = zone_named(name, "test")
        for year in (1941, 1986, 2011, 2026, 2045):
            begin = ms(f"{year}-01-01T00:00:00") // 1000
            for utc_s in range(begin, begin + 366 * 86_400, 86_400 * 5 + 3_607):
                piece = zone.piece(utc_s)
                assert piece.start <= utc_s < piece.end
                assert piece.offset == zone.offset(utc_s) == zone.offset(piece.start) == zone.offset(piece.end - 1)
                if piece.after != piece.offset:
                    assert piece.after == zone.offset(piece.end)


def test_one_local_time_is_placed_as_the_rfc_says() -> None:
    zone = zone_named(NEW_YORK, "test")
    for local, utc in (
        ("2027-03-14T01:59:59", "2027-03-14T06:59:59"),
        ("2027-03-14T02:30:00", "2027-03-14T07:30:00"),
        ("2027-03-14T03:00:00", "2027-03-14T07:00:00"),
        ("2027-11-07T01:30:00", "2027-11-07T05:30:00"),
        ("2027-11-07T02:00:00", "2027-11-07T07:00:00"),
    ):
        assert zone.utc(ms(local) // 1000) == ms(utc) // 1000


def test_the_version_of_the_zones_is_known() -> None:
    assert tzdata_version()[:2] == "20"
    assert info("UTC").key == "UTC"

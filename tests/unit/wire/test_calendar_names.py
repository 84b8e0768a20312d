"""Calendars that `exclude` names: looked up at the doors, under the entry's own field."""

from __future__ import annotations

from datetime import date

import pytest

from squirrel.model.errors import Refused
from squirrel.model.when import When
from squirrel.recurrence import Calendar, no_calendars
from squirrel.wire.documents import check_calendars
from tests.unit.wire.door import NOW_MS, parse

KNOWN = {"off": Calendar(frozenset({date(2027, 1, 1)})), "never": Calendar(weekend=frozenset(range(7)))}


def test_parsing_alone_takes_a_name_and_the_door_looks_it_up() -> None:
    document = {
        "event": "a",
        "target": {"type": "http", "url": "https://hooks.example.com/"},
        "when": {"cron": "0 9 * * *", "exclude": ["2027-12-25", "off"]},
    }
    when = parse(document).spec.when
    check_calendars(when, KNOWN.get, NOW_MS)
    with pytest.raises(Refused) as refused:
        check_calendars(when, no_calendars, NOW_MS)
    assert refused.value.problems[0].field == "when.exclude[1]"
    assert "PUT /api/v1/calendars/off" in refused.value.problems[0].reason


def test_dates_need_no_calendar() -> None:
    check_calendars(When(cron="0 9 * * *", exclude=("2027-12-25",)), no_calendars, NOW_MS)


def test_a_calendar_that_leaves_no_day_is_refused() -> None:
    with pytest.raises(Refused, match="no weekday"):
        check_calendars(When(cron="0 9 * * *", exclude=("never",)), KNOWN.get, NOW_MS)

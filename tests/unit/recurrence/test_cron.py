"""Cron expressions: what they mean and what is refused."""

from __future__ import annotations

import pytest

from squirrel.model.when import When
from squirrel.recurrence import PRESETS, RuleError, compile_rule, explain
from tests.unit.recurrence.asking import NEW_YORK, cron, runs


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 9 * * 1-5", ["2027-01-01T09", "2027-01-04T09", "2027-01-05T09"]),
        ("30 0 0 1 1 *", ["2027-01-01T00:00:30", "2028-01-01T00:00:30", "2029-01-01T00:00:30"]),
        ("0 0 29 2 *", ["2028-02-29T00", "2032-02-29T00", "2036-02-29T00"]),
        ("0 0 L * *", ["2027-01-31T00", "2027-02-28T00", "2027-03-31T00"]),
        ("0 0 LW * *", ["2027-01-29T00", "2027-02-26T00", "2027-03-31T00"]),
        ("0 0 1W * *", ["2027-01-01T00", "2027-02-01T00", "2027-03-01T00"]),
        ("0 0 15W 5,8 *", ["2027-05-14T00", "2027-08-16T00", "2028-05-15T00"]),
        ("0 0 31W * *", ["2027-01-29T00", "2027-03-31T00", "2027-05-31T00"]),
        ("0 0 * * 5L", ["2027-01-29T00", "2027-02-26T00", "2027-03-26T00"]),
        ("0 0 * * FRI#2", ["2027-01-08T00", "2027-02-12T00", "2027-03-12T00"]),
        ("0 0 * * 7", ["2027-01-03T00", "2027-01-10T00", "2027-01-17T00"]),
        ("0 0 * * 5-7", ["2027-01-01T00", "2027-01-02T00", "2027-01-03T00"]),
        ("0 0 ? * mon", ["2027-01-04T00", "2027-01-11T00", "2027-01-18T00"]),
        ("5/20 0 * * *", ["2027-01-01T00:05", "2027-01-01T00:25", "2027-01-01T00:45"]),
        ("0 0 13 * 5", ["2027-01-01T00", "2027-01-08T00", "2027-01-13T00"]),
        ("0 0 */15 * 5", ["2027-01-01T00", "2027-04-16T00", "2027-07-16T00"]),
        ("@hourly", ["2027-01-01T00", "2027-01-01T01", "2027-01-01T02"]),
        ("@annually", ["2027-01-01T00", "2028-01-01T00", "2029-01-01T00"]),
        ("@midnight", ["2027-01-01T00", "2027-01-02T00", "2027-01-03T00"]),
    ],
)
def test_meaning(expression: str, expected: list[str]) -> None:
    found = runs(cron(expression), "2027-01-01T00:00:00", 3)
    assert found == [(each + ":00:00" if len(each) == 13 else each + ":00")[:19] for each in expected]


@pytest.mark.parametrize(
    ("expression", "reason", "fix"),
    [
        ("61 * * * *", "minute: 61 is out of range", "0 to 59"),
        ("0 24 * * *", "hour: 24 is out of range", "0 to 23"),
        ("0 0 0 * *", "day of month: 0 is out of range", "1 to 31"),
        ("0 0 * 13 *", "month: 13", "1 to 12"),
        ("0 0 * * 8", "day of week: 8", "0 to 7"),
        ("0 22-2 * * *", "runs backwards", "'22-23,0-2'"),
        ("0 0 * * FRI-SUN", "runs backwards", "'FRI-7'"),
        ("*/0 * * * *", "no valid step", "whole number"),
        ("* * * *", "4 fields", "six with seconds first"),
        ("* * * * * * *", "7 fields", "six with seconds first"),
        ("", "empty", "five fields"),
        ("0 0 30 2 *", "never occurs", "L for its last"),
        ("0 0 31 2,4,6,9,11 *", "never occurs", "L for its last"),
        ("@reboot", "not a time", "in_seconds"),
        ("@every 5m", "not cron", "every"),
        ("@fortnightly", "no word", "@weekly"),
        ("TZ=UTC 0 0 * * *", "zone", "when.timezone"),
        ("0 0 * * L", "says no day", "6L"),
        ("0 0 * * 1#6", "week 6", "#1 to #5"),
        ("0 0 * JANUARY *", "not a name", "'JAN'"),
        ("1,,2 * * * *", "missing", "0 to 59"),
        ("? * * * *", "for a day only", "'*'"),
        ("0 0 ٣ * *", "not a value", "1 to 31"),
        ("0," * 600 + "0 * * * *", "characters", "steps"),
    ],
)
def test_refusal_names_the_field_and_the_fix(expression: str, reason: str, fix: str) -> None:
    with pytest.raises(RuleError) as refused:
        compile_rule(When(cron=expression), created_ms=0)
    assert refused.value.field == "when.cron"
    assert reason in refused.value.reason
    assert fix in refused.value.fix


def test_hours_with_a_star_go_by_elapsed_time() -> None:
    assert runs(cron("30 * * * *", NEW_YORK), "2027-03-14T06:00:00", 3) == [
        "2027-03-14T06:30:00",
        "2027-03-14T07:30:00",
        "2027-03-14T08:30:00",
    ]
    assert runs(cron("30 * * * *", NEW_YORK), "2027-11-07T05:00:00", 3) == [
        "2027-11-07T05:30:00",
        "2027-11-07T06:30:00",
        "2027-11-07T07:30:00",
    ]


def test_a_fixed_hour_runs_once_after_the_gap_and_once_in_the_overlap() -> None:
    assert runs(cron("* 2 * * *", NEW_YORK), "2027-03-14T00:00:00", 2) == ["2027-03-14T07:00:00", "2027-03-15T06:00:00"]
    assert runs(cron("30 1 * * *", NEW_YORK), "2027-11-07T00:00:00", 2) == [
        "2027-11-07T05:30:00",
        "2027-11-08T06:30:00",
    ]


def test_there_are_thirty_presets_that_compile_and_explain_themselves() -> None:
    assert len(PRESETS) >= 30
    assert len({preset.id for preset in PRESETS}) == len(PRESETS)
    for preset in PRESETS:
        compile_rule(When(cron=preset.expression), created_ms=0)
        assert explain(When(cron=preset.expression)).endswith("UTC")


@pytest.mark.parametrize("field", ["H", "H/15", "H(0-29)", "h"])
def test_h_is_refused_with_what_spreads_instead(field: str) -> None:
    with pytest.raises(RuleError, match=r"minute: H is not read. .*spread_seconds"):
        compile_rule(When(cron=f"{field} * * * *"), created_ms=0)

"""Good schedules: every spelling, the seeds' own examples, ids and fingerprints, warnings."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from squirrel.model.ids import id_from_idempotency_key
from squirrel.model.instants import parse_instant
from squirrel.model.limits import JSON_DEPTH_MAX
from squirrel.model.retry import DEFAULT, RetryPolicy
from squirrel.model.target import Fallback, HttpTarget, KafkaTarget
from squirrel.model.when import DstPolicy, EventMatch, Every, Parent, When
from squirrel.wire.documents import parse_batch
from tests.unit.wire.door import AT, AT_MS, NOW_MS, parse, plain, timed

HOOK = "https://hooks.example.com/x"


def test_the_squirrel_seeds_example() -> None:
    made = parse(
        {
            "event": "email.send.paper_workflow_1",
            "message": {"subject": "Reminder", "body": "Hello, this is a scheduled email!"},
            "sendAt": "2025-02-01T10:00:00Z",
            "maxRetries": 0,
            "fireAndForget": True,
        }
    )
    assert made.id == "sch_made"
    assert made.spec.when == When(at_ms=parse_instant("2025-02-01T10:00:00Z"))
    assert made.spec.retry == RetryPolicy(max_retries=0)
    assert made.spec.fire_and_forget
    assert orjson.loads(made.spec.message)["subject"] == "Reminder"
    assert "sendAt lies" in made.warnings[0]
    assert "fires at once" in made.warnings[0]


def test_the_issues_child() -> None:
    made = parse({"event": "email.next", "after": [{"schedule": "first", "on": "success"}], "delay_seconds": 2})
    assert made.spec.when == When(after=(Parent("first", "success"),), delay_seconds=2)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        # Workflow Scheduler
        (
            {
                "cron_expression": "0 9 * * 1-5", "timezone": "America/New_York", "target_type": "webhook", "target_url": HOOK,
                "target_payload": {"a": 1}, "target_headers": {"X-A": "b"}, "target_method": "PUT", "overlap_policy": "queue",
                "max_retries": 3, "retry_strategy": "linear", "timeout_seconds": 300, "tags": ["daily"],
            },
            {
                "when": When(cron="0 9 * * 1-5", timezone="America/New_York"), "message": b'{"a":1}', "overlap": "queue",
                "target": HttpTarget(HOOK, "PUT", (("X-A", "b"),), 300_000), "tags": ("daily",),
                "retry": RetryPolicy(max_retries=3, strategy="linear", initial_ms=5_000),
            },
        ),
        # Redis Scheduler
        (
            {"webhook": HOOK, "ttl": 120, "data": {"message": "Hello, World!"}},
            {"target": HttpTarget(HOOK), "when": When(in_seconds=120), "message": b'{"message":"Hello, World!"}'},
        ),
        # RRule Scheduler
        (
            {"rrule": "DTSTART:20250101T083000Z\nRRULE:FREQ=DAILY;INTERVAL=1", "callback_url": HOOK, "method": "post",
             "headers": {"Authorization": "Bearer abc123", "Content-Type": "application/json"}},
            {"when": When(rrule="DTSTART:20250101T083000Z\nRRULE:FREQ=DAILY;INTERVAL=1"),
             "target": HttpTarget(HOOK, "POST", (("Authorization", "Bearer abc123"), ("Content-Type", "application/json")))},
        ),
        # Scheduler Service
        (
            {"target": HOOK, "payload": {"key1": "value1"}, "specific_time": AT},
            {"target": HttpTarget(HOOK), "message": b'{"key1":"value1"}', "when": When(at_ms=AT_MS)},
        ),
        # ours, in camel case
        (
            {"inSeconds": 1.5, "maxLatenessSeconds": 2, "spreadSeconds": 60, "retry": {"initialSeconds": 0.5, "maxSeconds": 9},
             "target": {"type": "http", "url": HOOK, "timeoutSeconds": 5}},
            {"when": When(in_seconds=1.5, spread_seconds=60), "max_lateness_ms": 2000,
             "target": HttpTarget(HOOK, timeout_ms=5000), "retry": RetryPolicy(initial_ms=500, max_ms=9000)},
        ),
    ],
    ids=["workflow", "redis", "rrule", "service", "camel"],
)  # fmt: skip
def test_every_seeds_spelling(extra: dict[str, Any], expected: dict[str, Any]) -> None:
    spec = parse({"event": "email.x", **extra}).spec
    assert {name: getattr(spec, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({"at": "2027-02-01T11:00:00+01:00"}, When(at_ms=AT_MS)),
        ({"in_seconds": 0}, When(in_seconds=0)),
        ({"cron": "@hourly"}, When(cron="@hourly")),
        ({"every": {"interval": "month", "value": 2}, "start": AT}, When(every=Every("month", 2, AT_MS), start_ms=AT_MS)),
        ({"every": {"interval": "day"}}, When(every=Every("day"))),
        ({"after": [{"schedule": "a", "on": "failure"}, {"schedule": "b"}], "join": "any"},
         When(after=(Parent("a", "failure"), Parent("b")), join="any")),
        ({"on_event": {"event": "email.send.*", "on": "completion"}, "delay_seconds": 5},
         When(on_event=EventMatch("email.send.*", "completion"), delay_seconds=5)),
        ({"cron": "0 9 * * *", "end": AT, "max_runs": 3, "exclude": ["2027-12-25"], "if_excluded": "next_business_day",
          "dst": {"gap": "next", "overlap": "both"}},
         When(cron="0 9 * * *", end_ms=AT_MS, max_runs=3, exclude=("2027-12-25",), if_excluded="next_business_day",
              dst=DstPolicy("next", "both"))),
    ],
)  # fmt: skip
def test_every_kind_of_when(when: dict[str, Any], expected: When) -> None:
    assert parse(timed(**when)).spec.when == expected
    assert parse({"event": "email.send", **when}).spec.when == expected, "and the same fields at the top level"


def test_targets_and_fallbacks() -> None:
    spec = parse(
        plain(
            target={"type": "kafka", "topic": "orders", "key": "k", "headers": {"a": "ü"}},
            fallback=[{"type": "http", "url": HOOK, "retry": {"max_retries": 1}}, {"url": HOOK, "method": "PURGE"}],
        )
    ).spec
    assert spec.target == KafkaTarget("orders", "k", (("a", "ü"),))
    assert spec.fallback == (
        Fallback(HttpTarget(HOOK), RetryPolicy(max_retries=1)),
        Fallback(HttpTarget(HOOK, "PURGE")),
    )
    assert parse(plain(target={"type": "kafka", "topic": "squirrel.inbox"})).spec.target == KafkaTarget(
        "squirrel.inbox"
    )


def test_nulls_are_absent_except_as_a_message() -> None:
    spec = parse(plain(id=None, target=None, retry=None, max_lateness_seconds=None, tags=None, message=None)).spec
    assert (spec.target, spec.retry, spec.message, spec.tags) == (None, None, b"null", ())


def test_a_tag_sent_twice_is_one_tag() -> None:
    assert parse(plain(tags=["b", "a", "b"])).spec.tags == ("b", "a")


def test_messages_leave_as_they_came() -> None:
    raw = (
        b'{ "z":12345678901234567890123456789, "a": 1.10, "deep": '
        + b"[" * (JSON_DEPTH_MAX - 2)
        + b"]" * (JSON_DEPTH_MAX - 2)
        + b"}"
    )
    assert parse(b'{"event":"email.x","in_seconds":1,"message":' + raw + b"}").spec.message == raw


def test_a_long_first_wait_raises_the_longest() -> None:
    retry = parse(plain(retry={"initial_seconds": 7200})).spec.retry
    assert retry is not None
    assert retry.max_ms == 7_200_000 > DEFAULT.max_ms


def test_an_instant_in_the_past_says_what_becomes_of_it() -> None:
    past = "2027-02-01T08:59:30Z"
    assert parse(plain(sendAt=past)).warnings == ["sendAt lies 30 s in the past: it fires at once"]
    assert "missed" in parse(plain(sendAt=past, max_lateness_seconds=29)).warnings[0]
    assert "at once" in parse(plain(sendAt=past, max_lateness_seconds=31)).warnings[0]
    assert parse(plain(sendAt="2027-02-01T09:00:00Z")).warnings == []
    assert parse(timed(at=past)).warnings[0].startswith("when.at lies")


def test_ids_and_fingerprints() -> None:
    assert parse(plain()).fingerprint == ""
    mine = parse(plain(id="paper-1"))
    assert (mine.id, len(mine.fingerprint)) == ("paper-1", 32)
    assert parse(plain(), key="k").id == id_from_idempotency_key("default", "k")
    assert parse(plain(id="paper-1"), key="k").id == "paper-1"
    assert parse(plain(), key="k").fingerprint == mine.fingerprint


@pytest.mark.parametrize(
    ("message", "other", "same"),
    [
        (b'{"a":1,"b":[1,2]}', b'{ "b": [1, 2], "a": 1 }', True),
        (b'{"a":1}', b'{"a":2}', False),
        (b'{"a":123456789012345678901}', b'{"a":123456789012345678902}', False),
        (b'{"a":123456789012345678901,"b":1}', b'{"b":1, "a":123456789012345678901}', True),
        (b'"1234567890123456"', b"1234567890123456", False),
    ],
)
def test_the_fingerprint_is_of_content_not_of_text(message: bytes, other: bytes, same: bool) -> None:
    def made(raw: bytes) -> str:
        return parse(b'{"id":"a","event":"email.x","in_seconds":1,"message":' + raw + b"}").fingerprint

    assert (made(message) == made(other)) is same


def test_a_batch_is_taken_apart_and_one_bad_item_spoils_nothing() -> None:
    first, second = json.dumps(plain()).encode(), b'{"event":"a\\ud800","in_seconds":1}'
    assert parse_batch(b'{"schedules":[' + first + b"," + first + b"]}") == [first, first]
    items = parse_batch(b'{"schedules":[' + first + b"," + second + b", 7]}")
    assert parse(items[0]).spec == parse(first).spec
    assert len(items) == 3
    assert NOW_MS < AT_MS

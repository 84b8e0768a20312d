"""PUT, PATCH and the inbox's update: what is named changes, what is not stays, and a second time changes nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from squirrel.model.errors import Refused
from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import Spec
from squirrel.model.target import HttpTarget, KafkaTarget
from squirrel.model.when import Parent, When
from squirrel.wire.documents import answer_json, apply_patch, check_patch, document_of, read_document
from tests.unit.wire.door import AT, AT_MS, NOW_MS, POLICY, assert_told, parse, patch, put

HOOK = "https://hooks.example.com/x"
CRON: dict[str, Any] = {
    "event": "email.send",
    "name": "report",
    "tags": ["daily"],
    "message": {"n": 1},
    "when": {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin", "exclude": ["2027-12-25"]},
    "target": {"type": "http", "url": HOOK, "headers": {"Authorization": "secret", "X-A": "a"}, "timeout_seconds": 5},
    "retry": {"max_retries": 9, "strategy": "fixed", "initial_seconds": 4},
    "max_lateness_seconds": 60,
}


@pytest.fixture
def spec() -> Spec:
    return parse(CRON).spec


def test_a_patch_of_time_and_payload_leaves_the_rest(spec: Spec) -> None:
    changed = patch({"sendAt": AT, "message": {"n": 2}}, spec)
    assert changed == replace(spec, when=When(at_ms=AT_MS), message=b'{"n":2}')


def test_a_patch_within_a_rule_keeps_what_narrows_it(spec: Spec) -> None:
    changed = patch({"when": {"cron": "0 10 * * *"}}, spec)
    assert changed.when == replace(spec.when, cron="0 10 * * *")
    assert patch({"when": {"timezone": None}}, spec).when == replace(spec.when, timezone=None)
    assert patch({"end": "2028-01-01T00:00:00Z"}, spec).when.cron == spec.when.cron


def test_a_delay_counts_from_the_change(spec: Spec) -> None:
    assert patch({"when": {"in_seconds": 90.5}}, spec).when == When(at_ms=NOW_MS + 90_500)
    waiting = parse({"event": "email.x", "in_seconds": 5}).spec
    assert patch({"end": AT}, waiting).when == When(in_seconds=5, end_ms=AT_MS), "an old delay is not counted again"
    assert put({"event": "email.x", "in_seconds": 5}, waiting).when == When(at_ms=NOW_MS + 5000)


def test_a_patch_merges_retry_target_and_headers(spec: Spec) -> None:
    assert patch({"maxRetries": 2}, spec).retry == replace(spec.retry, max_retries=2)
    changed = patch({"target": {"method": "PUT", "headers": {"x-a": "b", "X-New": "c", "Gone": None}}}, spec).target
    assert changed == HttpTarget(HOOK, "PUT", (("Authorization", "secret"), ("x-a", "b"), ("X-New", "c")), 5000)
    assert patch({"target": {"type": "kafka", "topic": "t"}}, spec).target == KafkaTarget("t")
    assert patch({"target": {"headers": None}}, spec).target == HttpTarget(HOOK, timeout_ms=5000)


def test_null_takes_a_field_back_to_its_default(spec: Spec) -> None:
    changed = patch({"name": None, "tags": None, "retry": None, "max_lateness_seconds": None, "target": None}, spec)
    assert (changed.name, changed.tags, changed.retry, changed.max_lateness_ms, changed.target) == (
        "",
        (),
        None,
        None,
        None,
    )
    assert patch({"message": None}, spec).message == b"null"


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"event": None}, "event", "cannot be removed"),
        ({"when": None}, "when", "cannot be removed"),
        ({"id": "other"}, "id", "cannot be changed"),
        ({"group": "g"}, "group", "cannot be changed"),
        ({"when": {"at": "soon"}}, "when.at", "RFC 3339"),
        ({"when": {"cron": None}}, "when", "exactly one"),
        ({"when": {"timezone": "Mars"}}, "when.timezone", "IANA"),
        ({"target": {"url": "http://u:p@h/"}}, "target.url", "password"),
        ({"target": {"type": "kafka"}}, "target.topic", "missing"),
        ({"target": {"headers": {"X-Other": "***"}}}, "target.headers.X-Other", "the secret itself"),
        ({"target": None, "event": "sms.x"}, "target", "no route"),
        ({"after": [{"schedule": "paper-1"}]}, "after[0].schedule", "itself"),
        ({"colour": 1}, "colour", "no known field"),
        ({"state": "paused"}, "state", "set by the server"),
        ({"retry": {"max_seconds": 0.5}}, "retry.max_seconds", "at least"),
    ],
)
def test_a_bad_change_is_refused_with_its_field(spec: Spec, change: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        patch(change, spec)
    assert refused.value.problems[0].field == field
    assert says in refused.value.problems[0].reason


def test_an_answer_may_be_put_back(spec: Spec) -> None:
    answer = document_of(spec, redact=True) | {"id": "paper-1", "revision": 4, "state": "active", "next_run": AT}
    assert answer["target"]["headers"] == {"Authorization": "***", "X-A": "a"}
    assert put(answer_json(answer), spec) == spec


def test_a_put_is_the_whole_and_keeps_only_the_dialect(spec: Spec) -> None:
    made = put({"event": "email.x", "sendAt": AT}, replace(spec, dialect="redis", dialect_fields=b'{"a":1}'))
    assert made == Spec("email.x", When(at_ms=AT_MS), dialect="redis", dialect_fields=b'{"a":1}')


def test_the_group_is_fixed_like_the_id(spec: Spec) -> None:
    grouped = replace(spec, group="g")
    assert put({**CRON}, grouped) == grouped
    assert patch({"group": "g", "name": "x"}, grouped) == replace(grouped, name="x")
    for other in (None, "h"):
        with pytest.raises(Refused, match="group: cannot be changed"):
            patch({"group": other}, grouped)
    with pytest.raises(Refused, match="group: cannot be changed"):
        put({**CRON, "group": "h"}, grouped)


def test_a_verbatim_body_survives_a_patch_of_the_target(spec: Spec) -> None:
    rrule = replace(spec, target=HttpTarget(HOOK, body=b"raw", success_below=400))
    changed = patch({"target": {"method": "PUT"}}, rrule).target
    assert changed == HttpTarget(HOOK, "PUT", body=b"raw", success_below=400)


def test_the_engine_trusts_what_the_door_let_in(spec: Spec) -> None:
    loopback = orjson.dumps({"target": {"url": "http://127.0.0.1:1/"}})
    assert apply_patch(spec, loopback, schedule_id="paper-1", now_ms=NOW_MS).target is not None


def test_a_changed_schedule_must_still_fit_a_row(spec: Spec) -> None:
    big = {"fallback": [{"url": HOOK, "headers": {f"X-{n}": "a" * 8000 for n in range(60)}}]}
    with pytest.raises(Refused, match="the limit is") as refused:
        patch(big, spec)
    assert refused.value.code == "too_large"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"when": {"at": "soon"}}, "when.at"),
        ({"when": {"cron": "99 * * * *"}}, "when.cron"),
        ({"max_runs": 0}, "max_runs"),
        ({"maxRetries": "x"}, "maxRetries"),
        ({"target": {"url": "nope"}}, "target.url"),
        ({"event": None}, "event"),
        ({"tags": [1]}, "tags[0]"),
    ],
)
def test_the_door_refuses_a_patch_that_no_schedule_could_take(change: dict[str, Any], field: str) -> None:
    document = read_document(orjson.dumps({"op": "update", "id": "a", **change}), 10_000)
    with pytest.raises(Refused) as refused:
        check_patch(document, now_ms=NOW_MS, policy=POLICY, skip=frozenset({"op", "id"}))
    assert refused.value.problems[0].field == field


changes = st.fixed_dictionaries(
    {},
    optional={
        "sendAt": st.sampled_from([AT, "2027-03-01T00:00:00Z", None, "soon"]),
        "in_seconds": st.integers(-1, 100),
        "cron": st.sampled_from(["0 9 * * *", "@daily", None, "x"]),
        "timezone": st.sampled_from(["UTC", "Europe/Berlin", None, 7]),
        "after": st.just([{"schedule": "p", "on": "failure"}]),
        "delay_seconds": st.integers(0, 5),
        "message": st.sampled_from([None, {"a": 1}, [1]]),
        "maxRetries": st.integers(-3, 5),
        "retry": st.sampled_from([None, {"jitter": 0}, {"initialSeconds": 5000}]),
        "target": st.sampled_from(
            [None, {"method": "GET"}, {"headers": {"X-B": "c"}}, {"type": "kafka", "topic": "t"}, HOOK]
        ),
        "tags": st.sampled_from([None, ["a"], []]),
        "name": st.sampled_from([None, "n", "a\x00"]),
        "group": st.sampled_from([None, "g"]),
    },
)
bases = st.sampled_from(
    [
        CRON,
        {"event": "email.x", "sendAt": AT},
        {"event": "email.x", "in_seconds": 5},
        {"event": "email.x", "after": [{"schedule": "q"}]},
    ]
)


@given(changes, bases)
def test_a_patch_applied_twice_is_applied_once(change: dict[str, Any], base: dict[str, Any]) -> None:
    try:
        once = patch(change, parse(base).spec)
    except Refused as refused:
        assert_told(refused)
        return
    assert patch(change, once) == once
    unnamed = {"fire_and_forget", "overlap", "missed", "event", "fallback", "max_lateness_ms"}
    assert all(getattr(once, name) == getattr(parse(base).spec, name) for name in unnamed)


def test_the_sample_rule_is_what_the_tests_say(spec: Spec) -> None:
    assert spec.retry == RetryPolicy(9, "fixed", 4000)
    assert parse({"event": "email.x", "after": [{"schedule": "q"}]}).spec.when.after == (Parent("q"),)

"""Answers: what was asked for, verbatim; secrets hidden; and the law that reading an answer gives the schedule again."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from squirrel.model.instants import format_instant
from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import LastRun, OpenRun, Row, RunState, Spec, State
from squirrel.model.target import Fallback, HttpTarget, KafkaTarget
from squirrel.model.when import DstPolicy, EventMatch, Every, Parent, When
from squirrel.recurrence import spread_offset_ms
from squirrel.wire.documents import answer_json, document_of, parse_route, render_route, render_run, render_schedule
from squirrel.wire.documents.render import next_run_ms
from squirrel.wire.documents.route import read_route_value, route_value
from tests.unit.wire.door import AT, AT_MS, NOW_MS, POLICY, parse, plain

HOOK = "https://hooks.example.com/x"


def row_of(spec: Spec, state: State = State.ACTIVE, **changes: Any) -> Row:
    fields: dict[str, Any] = {
        "namespace": "default", "id": "paper-1", "state": state, "wake_ms": AT_MS, "created_ms": NOW_MS, "event": spec.event,
        "tags": spec.tags, "revision": 2, "runs": [], "spec": spec,
    }  # fmt: skip
    return Row(**(fields | changes))


def test_a_schedule_shows_what_was_asked_and_what_is_true_of_it() -> None:
    raw = b'{"b": 12345678901234567890, "a": [1.10]}'
    body = (
        b'{"id":"paper-1","event":"email.x","sendAt":"2027-02-01T11:00:00+01:00","metadata":{"k":1},"message":'
        + raw
        + b"}"
    )
    last = LastRun("run_1", AT_MS, RunState.FAILED, 3, AT_MS + 5, "status")
    row = row_of(parse(body).spec, slot_ms=AT_MS, last=last, reason="why")
    encoded = answer_json(render_schedule(row, ["careful"]))
    assert raw in encoded
    answer = orjson.loads(encoded)
    assert answer["when"] == {"at": "2027-02-01T10:00:00.000Z"}
    assert (answer["id"], answer["namespace"], answer["revision"], answer["state"]) == (
        "paper-1",
        "default",
        2,
        "active",
    )
    assert (answer["next_run"], answer["missed"]) == ("2027-02-01T10:00:00.000Z", "run_all")
    assert (answer["created_at"], answer["updated_at"]) == (format_instant(NOW_MS), format_instant(NOW_MS))
    assert (answer["warnings"], answer["reason"], answer["metadata"]) == (["careful"], "why", {"k": 1})
    assert answer["last_run"]["state"] == "failed"


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "Cookie", "X-Auth-Token", "client-secret"])
def test_secrets_are_hidden_in_answers_and_kept_in_documents(name: str) -> None:
    spec = parse(
        plain(target={"url": HOOK, "headers": {name: "s3cret"}}, fallback=[{"url": HOOK, "headers": {name: "s3cret"}}])
    ).spec
    assert b"s3cret" not in answer_json(render_schedule(row_of(spec)))
    assert answer_json(document_of(spec)).count(b"s3cret") == 2


def test_the_next_run_is_the_earliest_that_has_not_begun() -> None:
    spec = parse(plain()).spec
    runs = [
        OpenRun("r1", 1, AT_MS - 5, RunState.IN_FLIGHT),
        OpenRun("r2", 2, AT_MS + 7),
        OpenRun("r3", 3, 9, RunState.RETRY_WAIT),
    ]
    assert next_run_ms(row_of(spec, runs=runs, slot_ms=AT_MS + 9)) == 9, "a retry is to come, too"
    assert next_run_ms(row_of(spec, runs=runs[:2], slot_ms=AT_MS + 9)) == AT_MS + 7
    assert next_run_ms(row_of(spec, runs=[], slot_ms=AT_MS)) == AT_MS
    assert next_run_ms(row_of(spec, runs=runs[:1])) is None
    assert next_run_ms(row_of(spec, State.PAUSED, slot_ms=AT_MS)) is None


def test_the_next_run_comes_after_its_spread() -> None:
    spec = replace(parse(plain()).spec, when=When(cron="0 9 * * *", spread_seconds=3600))
    row = row_of(spec, slot_ms=AT_MS)
    assert next_run_ms(row) == AT_MS + spread_offset_ms(f"{row.namespace}/{row.id}", 3600)
    assert next_run_ms(row) != AT_MS


def test_a_run_in_flight_shows_its_attempt() -> None:
    row = row_of(parse(plain()).spec)
    shown = render_run(
        OpenRun("run_1", AT_MS, AT_MS + 1, RunState.IN_FLIGHT, 2, emitted_ms=AT_MS - 99, replay_of="run_0"), row
    )
    assert shown["attempts"] == [
        {"number": 2, "due": format_instant(AT_MS + 1), "emitted": format_instant(AT_MS - 99), "state": "in_flight"}
    ]
    assert (shown["state"], shown["schedule_id"], shown["replay_of"]) == ("in_flight", "paper-1", "run_0")
    assert render_run(OpenRun("run_1", AT_MS, AT_MS), row)["attempts"] == []


def test_a_route_hides_its_secret_and_travels_with_it() -> None:
    body = orjson.dumps(
        {
            "target": {"url": HOOK, "headers": {"Authorization": "s3"}},
            "fallback": [{"url": HOOK}],
            "flow": {"parallelism": 1},
        }
    )
    route = parse_route("email.*", body, now_ms=NOW_MS, policy=POLICY)
    shown = answer_json(render_route(route))
    assert b"s3" not in shown
    assert read_route_value(route_value(route)) == route
    assert orjson.loads(route.document)["flow"] == {"key": "email.*", "parallelism": 1}
    put_back = parse_route("email.*", shown, now_ms=NOW_MS + 5, policy=POLICY, before=route)
    assert (put_back.target, put_back.created_ms, put_back.updated_ms) == (route.target, NOW_MS, NOW_MS + 5)


names = st.text("abcXYZ0-_", min_size=1, max_size=6)
printable = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=8)
instants = st.integers(NOW_MS + 1000, NOW_MS + 10**10)
choice = st.sampled_from
retries = st.builds(
    RetryPolicy,
    st.integers(-1, 99),
    choice(["exponential", "linear", "fixed"]),
    st.integers(1, 10**6),
    st.integers(10**6, 10**9),
    st.floats(1, 100),
    st.floats(0, 1),
)
headers = st.dictionaries(
    st.text("abcdefg", min_size=1, max_size=5), st.text("abc=; ", max_size=5).map(str.strip), max_size=3
)
header_pairs = headers.map(lambda each: tuple(each.items()))
https = st.builds(
    HttpTarget,
    choice([HOOK, "http://a.example/?q=%20"]),
    choice(["GET", "POST", "x"]),
    header_pairs,
    st.integers(1, 3_600_000),
)
kafkas = st.builds(
    KafkaTarget, choice(["orders", "a.b_c"]), st.none() | st.text(max_size=5), header_pairs, st.integers(1, 3_600_000)
)
delays = st.integers(0, 10**6) | st.floats(0, 10**6).map(lambda each: round(each, 3))
whens = st.one_of(
    st.builds(When, at_ms=instants),
    st.builds(When, in_seconds=delays, spread_seconds=st.integers(0, 86_400)),
    st.builds(
        When,
        cron=choice(["0 9 * * 1-5", "@daily"]),
        timezone=st.none() | choice(["Europe/Berlin", "UTC"]),
        max_runs=st.none() | st.integers(1, 9),
        start_ms=st.none() | st.just(AT_MS),
        end_ms=st.none() | instants.map(lambda each: each + 10**10),
        dst=st.none()
        | st.builds(DstPolicy, choice([None, "skip", "shift", "next"]), choice([None, "first", "last", "both"])),
        exclude=choice([(), ("2027-12-25",)]),
        if_excluded=choice(["skip", "next_business_day"]),
    ),
    st.builds(When, rrule=st.just("DTSTART:20270101T090000Z\nRRULE:FREQ=DAILY")),
    st.builds(When, every=st.builds(Every, choice(["day", "month"]), st.integers(1, 5), instants)),
    st.builds(
        When, after=st.just((Parent("a"), Parent("b", "completion"))), join=choice(["all", "any"]), delay_seconds=delays
    ),
    st.builds(
        When,
        on_event=st.builds(EventMatch, choice(["a.*", "*", "a.*.b"]), choice(["success", "failure"])),
        delay_seconds=delays,
    ),
)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=8,
)
specs = st.builds(
    Spec,
    event=printable,
    when=whens,
    message=jsons.map(orjson.dumps),
    target=https | kafkas,
    retry=st.none() | retries,
    fire_and_forget=st.booleans(),
    fallback=st.lists(st.builds(Fallback, https | kafkas, st.none() | retries), max_size=2).map(tuple),
    overlap=choice(["skip", "queue", "allow"]),
    missed=choice([None, "run_all", "run_last", "skip"]),
    max_lateness_ms=st.none() | st.integers(0, 10**9),
    group=st.none() | printable,
    name=st.just("") | printable,
    description=choice(["", "two\nlines"]),
    tags=st.lists(printable, max_size=3, unique=True).map(tuple),
    metadata=st.dictionaries(names, st.integers(0, 9), max_size=2).map(orjson.dumps),
    retention_ms=st.integers(1000, 10**11),
)


@given(specs)
def test_reading_what_was_written_gives_the_schedule_again(spec: Spec) -> None:
    assert parse(answer_json(document_of(spec))).spec == spec


def test_the_law_holds_for_an_interval_without_a_start() -> None:
    spec = parse({"event": "email.x", "every": {"interval": "day", "start": AT}}).spec
    assert spec.when == When(every=Every("day", 1, AT_MS))
    assert parse(answer_json(document_of(spec))).spec == spec

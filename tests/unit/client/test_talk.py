"""Conversations without a network: what goes out, when it goes out again, what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.client import (
    Conflict,
    Created,
    Invalid,
    NotFound,
    Schedule,
    Unauthorised,
    Unavailable,
    Unreachable,
    calls,
)
from squirrel.client.patterns import matches
from squirrel.client.talk import (
    WAIT_SECONDS_MAX,
    Answer,
    Found,
    Heard,
    Lost,
    Patience,
    Request,
    Send,
    Talk,
    Wait,
)
from squirrel.model.limits import BATCH_ITEMS_MAX

PATIENCE = Patience(lambda: 1.0, tries_max=3)
NOW = datetime(2027, 2, 1, 10, tzinfo=UTC)


def answer(status: int, document: object = None, **headers: str) -> Answer:
    named = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return Answer(status, named, b"" if document is None else calls.json_of(document))


class Told:
    """Plays the network: hears each request, answers the next of `heard`; keeps what was sent, waited for and found."""

    def __init__(self, *heard: Heard) -> None:
        self.heard = list(heard)
        self.sent: list[Request] = []
        self.waits: list[float] = []
        self.found: list[Any] = []

    def run(self, talk: Talk[Any]) -> Any:
        reply: Heard = None
        while True:
            try:
                step = talk.send(reply)
            except StopIteration as end:
                assert not self.heard, f"never asked for {self.heard}"
                return end.value
            reply = None
            if isinstance(step, Send):
                self.sent.append(step.request)
                reply = self.heard.pop(0)
            elif isinstance(step, Wait):
                self.waits.append(step.seconds)
            else:
                assert isinstance(step, Found)
                self.found += step.items


SCHEDULE = {
    "id": "a",
    "namespace": "default",
    "event": "e",
    "when": {},
    "revision": 1,
    "state": "active",
    "next_run": None,
}


def test_create_sends_its_key_and_reads_the_schedule() -> None:
    told = Told(answer(201, {**SCHEDULE, "next_run": "2027-02-01T10:00:00.000Z", "a_later_field": 1}))
    made = told.run(calls.create({"event": "e", "when": {"at": NOW}, "target": "https://x.example"}, "key-1", PATIENCE))
    assert isinstance(made, Schedule)
    assert made.next_run == NOW
    (sent,) = told.sent
    assert (sent.method, sent.path, sent.headers["idempotency-key"]) == ("POST", "/api/v1/schedules", "key-1")
    assert sent.body is not None
    assert b'"at":"2027-02-01T10:00:00Z"' in sent.body
    assert b'"target":{"type":"http","url":"https://x.example"}' in sent.body


def test_accepted_is_a_schedule_that_knows_its_id() -> None:
    made = Told(answer(202, {"id": "a", "accepted": True})).run(calls.create({}, "k", PATIENCE))
    assert (made.id, made.state, made.revision) == ("a", "accepted", 0)


def test_a_create_goes_again_with_the_same_key() -> None:
    told = Told(Lost("broke", sent=True), answer(503, {"detail": "later"}, retry_after="2"), answer(201, SCHEDULE))
    assert told.run(calls.create({"event": "e"}, "key-1", PATIENCE)).id == "a"
    assert told.waits == [0.2, 2.0]
    assert {each.headers["idempotency-key"] for each in told.sent} == {"key-1"}


@pytest.mark.parametrize(
    ("heard", "again"),
    [
        (Lost("broke", sent=True), False),
        (answer(503, {}), False),
        (answer(504, {}), False),
        (Lost("refused", sent=False), True),
        (answer(429, {}, retry_after="1"), True),
    ],
)
def test_a_trigger_goes_again_only_when_the_first_cannot_have_run(heard: Heard, *, again: bool) -> None:
    told = Told(heard, *([answer(201, {"id": "run_1"})] if again else []))
    talk = calls.one(Schedule, calls.verb("a", "trigger"), PATIENCE)
    if again:
        assert told.run(talk).id == "run_1"
    else:
        with pytest.raises(Unavailable):
            told.run(talk)
    assert len(told.sent) == (2 if again else 1)


def test_a_change_under_if_match_is_not_repeated() -> None:
    told = Told(Lost("broke", sent=True))
    with pytest.raises(Unreachable, match="broke"):
        told.run(calls.one(Schedule, calls.change("PATCH", "a", {"name": "n"}, 3, None), PATIENCE))
    assert told.sent[0].headers["if-match"] == '"3"'


def test_tries_end() -> None:
    told = Told(*[answer(503, {"detail": "away"})] * 3)
    with pytest.raises(Unavailable, match="away"):
        told.run(calls.one(Schedule, Request("GET", "/x"), PATIENCE))
    assert len(told.sent) == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorised),
        (403, Unauthorised),
        (404, NotFound),
        (409, Conflict),
        (412, Conflict),
        (422, Invalid),
        (413, Invalid),
    ],
)
def test_refusals_are_errors_with_the_document_and_are_not_repeated(status: int, kind: type[Exception]) -> None:
    problem = {
        "type": "urn:squirrel:problem:too_late",
        "detail": "why",
        "run": {"id": "r"},
        "errors": [{"field": "f", "reason": "w"}],
    }
    with pytest.raises(kind, match="why") as caught:
        Told(answer(status, problem)).run(calls.raw(Request("GET", "/x"), PATIENCE))
    error: Any = caught.value
    assert (error.status, error.kind, error.problem) == (status, "too_late", problem)
    if kind is Conflict:
        assert error.run == {"id": "r"}
    if kind is Invalid:
        assert error.errors == [("f", "w")]


def test_a_page_of_a_proxy_is_said_as_it_is() -> None:
    with pytest.raises(Invalid, match="teapot"):
        Told(Answer(418, {}, b"<h1>teapot</h1>")).run(calls.raw(Request("GET", "/x"), PATIENCE))
    with pytest.raises(Unavailable, match="is this a Squirrel server"):
        Told(Answer(200, {"content-type": "text/html"}, b"<html>")).run(
            calls.one(Schedule, Request("GET", "/x"), PATIENCE)
        )


def test_pages_are_followed_by_their_cursor() -> None:
    told = Told(
        answer(200, {"items": [SCHEDULE], "next_cursor": "c1"}), answer(200, {"items": [SCHEDULE], "next_cursor": None})
    )
    told.run(calls.every(Schedule, "/api/v1/schedules", {"state": ["active", "paused"], "tag": None}, PATIENCE))
    assert [dict(each.query) for each in told.sent] == [
        {"state": "active,paused"},
        {"state": "active,paused", "cursor": "c1"},
    ]
    assert len(told.found) == 2


def test_batches_hold_a_thousand_and_have_keys_of_their_own() -> None:
    def results(count: int) -> Answer:
        return answer(200, {"results": [{"id": "a", "status": 201}] * count})

    told = Told(results(BATCH_ITEMS_MAX), Lost("broke", sent=True), results(5))
    told.run(calls.create_many(({"event": "e"} for _ in range(BATCH_ITEMS_MAX + 5)), iter(["k1", "k2"]), PATIENCE))
    assert [each.headers["idempotency-key"] for each in told.sent] == ["k1", "k2", "k2"]
    assert len(told.found) == BATCH_ITEMS_MAX + 5
    assert all(isinstance(each, Created) and each.ok for each in told.found)


def test_a_chunk_is_bounded_in_bytes_too() -> None:
    assert [len(chunk) for chunk in calls.chunks([{}] * 2001)] == [1000, 1000, 1]
    large: Mapping[str, Any] = {"message": "x" * (7 * 1024 * 1024)}
    assert [len(chunk) for chunk in calls.chunks([large] * 5)] == [2, 2, 1]


@given(st.integers(1, 50), st.none() | st.floats(-5, 1e9), st.floats(0, 1))
def test_waits_are_bounded(tries: int, asked: float | None, drawn: float) -> None:
    assert 0 <= Patience(lambda: drawn).wait_seconds(tries, asked) <= WAIT_SECONDS_MAX


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", True),
        ("*", "a.b", True),
        ("a.*.c", "a.b.c", True),
        ("a.*.c", "a.b.c.d", False),
        ("a.*", "a", False),
        ("a.b", "a.c", False),
    ],
)
def test_patterns_are_those_of_routes(pattern: str, event: str, *, expected: bool) -> None:
    assert matches(pattern, event) is expected

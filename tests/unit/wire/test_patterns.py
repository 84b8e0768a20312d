"""Event patterns and which route wins."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.model.errors import Refused
from squirrel.model.target import HttpTarget, Route
from squirrel.wire.documents import RouteTable, best_route, parse_route, pattern_matches, pattern_problem
from tests.unit.wire.door import NOW_MS, POLICY


@pytest.mark.parametrize(
    ("pattern", "event", "matches"),
    [
        ("email.send", "email.send", True),
        ("email.send", "email.send.x", False),
        ("email.*", "email.send", True),
        ("email.*", "email.send.paper", True),
        ("email.*", "email", False),
        ("email.*", "email.", False),
        ("email.*", "emails.x", False),
        ("*", "anything.at.all", True),
        ("*.done", "a.done", True),
        ("*.done", "a.b.done", False),
        ("a.*.c", "a.b.c", True),
        ("a.*.c", "a.b.d.c", False),
        ("a.*.*", "a.b.c.d", True),
        ("a.*.*", "a.b", False),
        ("a+b.*", "a+b.c", True),
        ("a.b", "axb", False),
    ],
)
def test_a_star_is_one_segment_and_at_the_end_one_or_more(pattern: str, event: str, matches: bool) -> None:
    assert pattern_matches(pattern, event) is matches


def route(pattern: str) -> Route:
    return Route(pattern, HttpTarget("https://hooks.example.com/"))


@pytest.mark.parametrize(
    ("event", "winner"),
    [
        ("email.send.now", "email.send.now"),
        ("email.send.later", "email.send.*"),
        ("email.read", "email.*"),
        ("sms.send", "*"),
        ("email.x.done", "email.*.done"),
    ],
)
def test_exact_beats_pattern_and_a_longer_start_a_shorter(event: str, winner: str) -> None:
    routes = [route(each) for each in ("*", "email.*", "email.*.done", "email.send.*", "email.send.now")]
    random.Random(event).shuffle(routes)
    found = best_route(routes, event)
    assert found is not None
    assert found.pattern == winner


def test_no_route_is_none_and_is_remembered() -> None:
    table = RouteTable([route("email.*")])
    assert table.best("sms") is None
    assert table.best("sms") is None


segments = st.text("ab", min_size=1, max_size=2)
events = st.lists(segments, min_size=1, max_size=4).map(".".join)
patterns = st.lists(segments | st.just("*"), min_size=1, max_size=4).map(".".join)


@given(st.lists(patterns, unique=True, max_size=8), events)
def test_the_winner_matches_and_none_that_matches_starts_longer(listed: list[str], event: str) -> None:
    found = RouteTable([route(each) for each in listed]).best(event)
    matching = [each for each in listed if pattern_matches(each, event)]
    assert (found is None) == (not matching)
    if found is not None:
        assert found.pattern in matching
        starts = [len(each.partition("*")[0]) for each in matching]
        assert found.pattern == event or len(found.pattern.partition("*")[0]) == max(starts)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("", "1 to 255"), ("a.b*", "whole segment"), ("a\x00", "NUL"), (7, "string"), ("p" * 256, "256")],
)
def test_bad_patterns_say_why(pattern: object, says: str) -> None:
    assert says in str(pattern_problem(pattern))


@pytest.mark.parametrize(
    ("pattern", "body", "field"),
    [
        ("a*", b'{"target":{"url":"https://h.example/"}}', "pattern"),
        ("a.*", b"{}", "target"),
        ("a.*", b'{"target":{"url":"nope"}}', "target.url"),
        ("a.*", b'{"target":{"url":"https://h.example/"},"retries":1}', "retries"),
        ("a.*", b'{"target":{"url":"https://h.example/"},"retry":{"jitter":7}}', "retry.jitter"),
        ("a.*", b'{"target":{"url":"https://h.example/"},"pattern":"b"}', "pattern"),
        ("a.*", b'{"target":{"url":"https://h.example/"},"flow":1}', "flow"),
    ],
)
def test_bad_routes_name_their_field(pattern: str, body: bytes, field: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_route(pattern, body, now_ms=NOW_MS, policy=POLICY)
    assert refused.value.problems[0].field == field

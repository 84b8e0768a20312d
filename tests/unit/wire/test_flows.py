"""`flow` of schedules and routes: read, shown, refused with the field; and the partition that follows from its key."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from squirrel.model.errors import Refused
from squirrel.model.flow import Flow
from squirrel.model.target import Route
from squirrel.wire.documents import document_of, parse_route, read_route_value, route_value
from squirrel.wire.documents.flow import at_home
from squirrel.wire.documents.render import render_route
from tests.unit.wire.door import NOW_MS, PLAIN, POLICY, assert_told, parse, patch, put

TARGET = {"type": "http", "url": "https://hooks.example.com/x"}


def _route(flow: Any) -> Route:
    return parse_route("mail.*", orjson.dumps({"target": TARGET, "flow": flow}), now_ms=NOW_MS, policy=POLICY)


def _refused(change: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(PLAIN | change)
    assert_told(refused.value)
    assert any(each.field == field and text in each.reason for each in refused.value.problems), refused.value.problems


def test_a_schedules_flow_is_read_and_shown() -> None:
    spec = parse(PLAIN | {"flow": {"key": "mail", "ratePerSecond": 2.5, "parallelism": 3}}).spec
    assert spec.flow == Flow("mail", 2.5, 3)
    assert document_of(spec, redact=True)["flow"] == {"key": "mail", "rate_per_second": 2.5, "parallelism": 3}


def test_a_routes_flow_has_its_pattern_as_key_and_survives_the_topic() -> None:
    route = _route({"parallelism": 3})
    assert route.flow == Flow("mail.*", None, 3)
    assert read_route_value(route_value(route)) == route
    assert render_route(route)["flow"] == {"key": "mail.*", "parallelism": 3}


@pytest.mark.parametrize(
    ("flow", "field", "text"),
    [
        (5, "flow", "must be an object"),
        ({"parallelism": 1}, "flow.key", "is missing"),
        ({"key": "", "parallelism": 1}, "flow.key", ""),
        ({"key": "a"}, "flow", "limits nothing"),
        ({"key": "a", "rate_per_second": 0}, "flow.rate_per_second", "0.001 to 10000"),
        ({"key": "a", "parallelism": 1.5}, "flow.parallelism", "whole number"),
        ({"key": "a", "parallelism": 0}, "flow.parallelism", "1 to 10000"),
        ({"key": "a", "paralelism": 1}, "flow.paralelism", "parallelism"),
    ],
)
def test_a_flow_that_is_none_is_refused_by_its_field(flow: Any, field: str, text: str) -> None:
    _refused({"flow": flow}, field, text)


def test_a_flow_and_a_group_exclude_each_other() -> None:
    _refused({"flow": {"key": "a", "parallelism": 1}, "group": "g"}, "flow", "group")


def test_schedules_of_a_flow_live_in_its_partition() -> None:
    own = parse(PLAIN | {"flow": {"key": "a", "parallelism": 1}}).spec
    assert at_home(own, lambda event: None).group == "flow:a"
    routed = parse(PLAIN).spec
    assert at_home(routed, lambda event: _route({"parallelism": 1})).group == "flow:mail.*"
    assert at_home(routed, lambda event: None).group is None
    aimed = parse(PLAIN | {"target": TARGET}).spec
    assert at_home(aimed, lambda event: _route({"parallelism": 1})).group is None, "its target is not the route's"


def test_the_numbers_of_a_flow_change_and_its_key_does_not() -> None:
    before = at_home(parse(PLAIN | {"flow": {"key": "a", "parallelism": 1}}).spec, lambda event: None)
    assert patch({"flow": {"key": "a", "rate_per_second": 5}}, before).flow == Flow("a", 5.0, None)
    assert patch({"flow": None}, before).flow is None
    shown = {name: value for name, value in document_of(before, redact=False).items() if value is not None}
    assert put(orjson.loads(orjson.dumps(shown)), before).group == "flow:a"
    with pytest.raises(Refused) as refused:
        patch({"flow": {"key": "b", "parallelism": 1}}, before)
    assert refused.value.problems[0].field == "flow.key"
    with pytest.raises(Refused):
        patch({"flow": {"key": "b", "parallelism": 1}}, parse(PLAIN).spec)

"""Conditions: what they see, what they may not do, and what they cost."""

from __future__ import annotations

from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.model.limits import EXPRESSION_CHARS_MAX
from squirrel.wire.expressions import Unevaluable, evaluate, expression_problem, holds, root_paths

ROOTS = ("parent", "parents")
DOCUMENT = {"parent": {"status": 200, "body": {"total": 120, "items": [{"sku": "a", "n": 0}, {"sku": "b", "n": 2}]}}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parent.status == `200`", True),
        ("parent.status < `300` && parent.body.total > `100`", True),
        ("parent.body.total > `1000` || parent.status == `500`", False),
        ("!(parent.body.nothing)", True),
        ("parent.body.items[?n > `1`]", True),
        ("parent.body.items[?n > `9`]", False),
        ("contains(parent.body.items[*].sku, 'b')", True),
        ("parent.body.items[0].n", True),  # 0 is true in JMESPath
        ("length(parent.body.items) == `2`", True),
    ],
)
def test_conditions(text: str, expected: bool) -> None:
    assert expression_problem(text, ROOTS) is None
    assert holds(text, DOCUMENT) is expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be a JMESPath"),
        (7, "must be a JMESPath"),
        ("parent.status == 200", "numbers stand in backticks"),
        ("parent.status ==", "is no JMESPath"),
        ("parant.status", "names parant, which there is not; known are parent, parents"),
        ("parent.[@, @]", "uses multi select list"),
        ("parent.{a: @}", "uses multi select dict"),
        ("map(&@, parent.body)", "calls map()"),
        ("to_array(parent)", "calls to_array()"),
        ("system(parent)", "calls system()"),
        ("(" * 900 + "parent" + ")" * 100, "is no JMESPath"),
        ("parent." + "a" * EXPRESSION_CHARS_MAX, "the limit is"),
        ("||".join(["parent"] * 100), "parts; split it"),
    ],
)
def test_what_is_refused_at_the_door(text: object, reason: str) -> None:
    assert reason in str(expression_problem(text, ROOTS))


def test_no_expression_runs_for_long() -> None:
    text = "parent[?" + " && ".join(["@ != `1`"] * 30) + "]"
    assert expression_problem(text, ROOTS) is None
    began = process_time()
    with pytest.raises(Unevaluable, match="steps"):
        evaluate(text, {"parent": list(range(2, 10_000))})
    assert process_time() - began < 1.0


def test_a_comparison_of_unlikes_is_no_crash() -> None:
    with pytest.raises(Unevaluable, match="cannot be evaluated"):
        holds("parent.status < parent.body", {"parent": {"status": 200, "body": "text"}})


@given(
    st.text(max_size=60),
    st.recursive(st.none() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)),
)
def test_any_text_is_judged_and_never_crashes(text: str, value: object) -> None:
    if expression_problem(text, ("parent",)) is None:
        with suppress(Unevaluable):
            holds(text, {"parent": value})


def test_paths_from_the_top() -> None:
    assert root_paths("steps.a.body.x && contains(steps.b.items[*].k, input.name)") == [
        ("steps", "a", "body", "x"), ("steps", "b", "items"), ("input", "name"),
    ]  # fmt: skip

"""`when.if` and `keep_response` as they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from squirrel.model.errors import Refused
from squirrel.wire.documents import document_of
from tests.unit.wire.door import parse

CHILD = {"after": [{"schedule": "parent"}]}


def test_a_condition_comes_back() -> None:
    spec = parse({"event": "email.x", "when": {**CHILD, "if": "parent.status == `200`"}, "keepResponse": True}).spec
    assert spec.when.condition == "parent.status == `200`"
    assert spec.keep_response is True
    shown = document_of(spec)
    assert (shown["when"]["if"], shown["keep_response"]) == ("parent.status == `200`", True)


@pytest.mark.parametrize(
    ("when", "field", "reason"),
    [
        ({"in_seconds": 1, "if": "parent.status"}, "when.if", "use it with after or on_event"),
        ({**CHILD, "if": "parent.status == 200"}, "when.if", "backticks"),
        ({**CHILD, "if": "steps.a"}, "when.if", "known are parent, parents"),
        ({**CHILD, "if": 1}, "when.if", "must be a JMESPath"),
    ],
)
def test_a_condition_that_cannot_be_asked_is_refused(when: Any, field: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        parse({"event": "email.x", "when": when})
    assert [problem.field for problem in refused.value.problems] == [field]
    assert reason in refused.value.problems[0].reason

"""`retry` as it is sent: read, shown again, refused with its field."""

from __future__ import annotations

from typing import Any

import pytest

from squirrel.model.retry import RetryPolicy, RetryRules
from squirrel.wire.documents.retry import parse_retry_object, retry_document


def read(value: Any) -> tuple[RetryPolicy | None, list[str]]:
    problems: list[Any] = []
    return parse_retry_object("retry", value, problems), [f"{each.field}: {each.reason}" for each in problems]


def test_all_of_a_policy_comes_back() -> None:
    sent = {
        "max_retries": -1, "strategy": "fixed", "initial_seconds": 2, "max_seconds": 60, "multiplier": 2, "jitter": 0,
        "deadline_seconds": 3600, "on": ["5xx", 429, "NETWORK", "5xx"], "if": "body.state == 'pending'",
    }  # fmt: skip
    policy, problems = read(sent)
    assert problems == []
    assert policy is not None
    assert policy.deadline_ms == 3_600_000
    assert policy.rules == RetryRules(("5xx", "429", "network"), "body.state == 'pending'")
    assert read(retry_document(policy))[0] == policy


def test_a_plain_policy_shows_no_empty_rules_and_linear_begins_with_five_seconds() -> None:
    policy, _ = read({"strategy": "linear"})
    assert policy == RetryPolicy(strategy="linear", initial_ms=5_000)
    assert not {"on", "if", "deadline_seconds"} & retry_document(policy).keys()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"on": "5xx"}, "retry.on: must be a list"),
        ({"on": ["6xx"]}, "retry.on[0]: "),
        ({"on": [True]}, "retry.on[0]: "),
        ({"if": "body.x =="}, "retry.if: is no JMESPath"),
        ({"if": "answer.x"}, "retry.if: names answer, which there is not; known are status, headers, body, error"),
        ({"deadline_seconds": 0}, "retry.deadline_seconds: must be 0.001"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_field(sent: dict[str, Any], said: str) -> None:
    assert any(problem.startswith(said) for problem in read(sent)[1]), read(sent)[1]

"""`retry.on` and `retry.if`: which endings are tried again when the policy says so."""

from __future__ import annotations

from typing import Any

import pytest

from squirrel.executor.rules import judged
from squirrel.model.retry import RetryRules
from squirrel.wire.attempt import Outcome


def outcome(status: int | None = 500, error: Any = "status", body: bytes = b"", **fields: Any) -> Outcome:
    state: Any = "succeeded" if error is None else "gone" if status == 410 else "failed"
    return Outcome(state, 0, 1, status=status, body=body, error_type=error, **fields)


@pytest.mark.parametrize(
    ("ending", "words", "state", "retryable"),
    [
        (outcome(500), ("5xx",), "failed", True),
        (outcome(503), ("500", "429"), "failed", False),
        (outcome(404), ("404",), "failed", True),
        (outcome(404), ("4xx",), "failed", True),
        (outcome(None, "timeout"), ("network",), "failed", True),
        (outcome(None, "timeout"), ("dns", "5xx"), "failed", False),
        (outcome(None, "dns"), ("dns",), "failed", True),
        (outcome(None, "refused_by_guard"), ("network", "5xx"), "failed", False),
        (outcome(410), ("4xx",), "gone", False),
        (outcome(410), ("410",), "failed", True),
        (outcome(200, None), ("5xx",), "succeeded", False),
    ],
)
def test_named_endings_are_tried_again_and_others_are_final(
    ending: Outcome, words: tuple[str, ...], state: str, retryable: bool
) -> None:
    found = judged(ending, RetryRules(words))
    assert (found.state, found.retryable) == (state, retryable)


@pytest.mark.parametrize(
    ("ending", "condition", "state"),
    [
        (outcome(200, None, b'{"state":"pending"}'), "body.state == 'pending'", "failed"),
        (outcome(200, None, b'{"state":"done"}'), "body.state == 'pending'", "succeeded"),
        (outcome(200, None, b"<html>busy</html>"), "contains(body, 'busy')", "failed"),
        (outcome(200, None, b"1", headers={"X-Again": "1"}), 'headers."x-again"', "failed"),
        (outcome(200, None, b'{"n":'), "body.n", "succeeded"),
        (outcome(200, None, b"[1]"), "status < body", "succeeded"),
    ],
)
def test_a_success_that_meets_the_condition_is_a_failure_that_is_tried_again(
    ending: Outcome, condition: str, state: str
) -> None:
    found = judged(ending, RetryRules(condition=condition))
    assert found.state == state
    assert found.retryable is (state == "failed")


def test_a_condition_mends_what_the_list_would_end() -> None:
    assert judged(outcome(400, body=b'{"code":"later"}'), RetryRules(("5xx",), "body.code == 'later'")).retryable
    assert not judged(outcome(400, body=b'{"code":"never"}'), RetryRules(("5xx",), "body.code == 'later'")).retryable

"""What an attempt needs whose outcome comes later, or that may be made but once. Pure."""

from __future__ import annotations

from squirrel.model.completion_token import Claim, sign_claim
from squirrel.model.target import HttpTarget
from squirrel.wire.attempt import Outcome
from squirrel.wire.records import Execution


def completion_token(key: bytes | None, execution: Execution) -> str:
    """The token that an asynchronous target completes this attempt with; empty for any other target."""
    target = execution.target
    if key is None or not isinstance(target, HttpTarget) or target.completion_timeout_ms is None:
        return ""
    return sign_claim(key, Claim(execution.namespace, execution.schedule, execution.run, execution.attempt))


def too_old(now_ms: int) -> Outcome:
    """An at_most_once attempt that was picked up when its outcome may already be said to be unknown: it is not made."""
    detail = "not called: no executor took this at_most_once attempt in time"
    return Outcome("failed", now_ms, now_ms, error_type="timeout", error_detail=detail)

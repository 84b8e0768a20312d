"""Which endings are tried again, where the retry policy says so itself. Pure.

Source: api.md, `retry`; `on` names statuses, classes and errors, `if` is a condition on the answer. Without rules `targets/
verdict.py` decides.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from msgspec.structs import replace

from squirrel.model.retry import RetryRules
from squirrel.wire.attempt import Outcome
from squirrel.wire.expressions import Unevaluable, holds

NETWORK: Final = frozenset({"dns", "connect", "tls", "timeout", "disconnected", "protocol"})
_NEVER: Final = frozenset({"bad_target", "refused_by_guard"})  # no repeat mends what may not be called


def judged(outcome: Outcome, rules: RetryRules) -> Outcome:
    """The outcome as the rules see it: retryable or final, and a success that meets the condition is none."""
    if outcome.error_type in _NEVER:
        return outcome
    if rules.condition and _meets(outcome, rules.condition):
        detail = "the answer meets the condition retry.if"
        if outcome.state == "succeeded":
            return replace(outcome, state="failed", error_type="status", error_detail=detail, retryable=True)
        return replace(outcome, state="failed", retryable=True)
    if not rules.on or outcome.state == "succeeded":
        return outcome
    if outcome.state == "gone" and "410" not in rules.on:
        return outcome
    return replace(outcome, state="failed", retryable=_is_named(outcome, rules.on))


def _is_named(outcome: Outcome, words: tuple[str, ...]) -> bool:
    if outcome.error_type == "status" and outcome.status is not None:
        return str(outcome.status) in words or f"{outcome.status // 100}xx" in words
    return outcome.error_type in words or ("network" in words and outcome.error_type in NETWORK)


def _meets(outcome: Outcome, condition: str) -> bool:
    document: dict[str, Any] = {
        "status": outcome.status,
        "headers": {name.lower(): text for name, text in outcome.headers.items()},
        "body": _body(outcome),
        "error": outcome.error_type,
    }
    try:
        return holds(condition, document)
    except Unevaluable:
        return False


def _body(outcome: Outcome) -> Any:
    if not outcome.truncated:
        try:
            return orjson.loads(outcome.body)
        except orjson.JSONDecodeError:
            pass
    return outcome.body.decode("utf-8", "replace")

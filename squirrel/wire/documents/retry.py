"""`retry` -> RetryPolicy and back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

from msgspec.structs import replace

from squirrel.model.errors import Problem
from squirrel.model.limits import MULTIPLIER_MAX, RETRIES_MAX, SECONDS_MAX
from squirrel.model.retry import DEFAULT, FOR_EVER, RetryPolicy, Strategy
from squirrel.wire.documents.names import RETRY_NAMES, Entries, entries_of
from squirrel.wire.documents.values import Problems, read_choice, read_ms, read_number

STRATEGIES = ("exponential", "linear", "fixed")
WAIT_SECONDS_MIN = 0.001  # zero would make "for ever" a loop without a pause


def parse_retry(entries: Entries, problems: Problems, before: RetryPolicy = DEFAULT) -> RetryPolicy:
    """`retry`'s fields by our names -> the policy; what is absent stays as it was `before`."""
    if len(entries) == 1 and before is DEFAULT and (entry := entries.get("max_retries")) is not None:
        value = entry[1]
        if type(value) is int and FOR_EVER <= value <= RETRIES_MAX:  # the common case, which one dictionary answers
            return _only_retries(value)
    numbers: dict[str, Any] = {}
    if (entry := entries.get("max_retries")) is not None:
        numbers["max_retries"] = read_number(*entry, problems, FOR_EVER, RETRIES_MAX, whole=True)
        if numbers["max_retries"] is None and problems[-1].field == entry[0]:
            problems[-1] = Problem(entry[0], f"{problems[-1].reason}; 0 is a single attempt, -1 tries for ever")
    if (entry := entries.get("strategy")) is not None:
        numbers["strategy"] = cast("Strategy | None", read_choice(*entry, problems, STRATEGIES))
    for name in ("initial", "max"):
        if (entry := entries.get(f"{name}_seconds")) is not None:
            numbers[f"{name}_ms"] = read_ms(*entry, problems, WAIT_SECONDS_MIN, SECONDS_MAX)
    if (entry := entries.get("multiplier")) is not None:
        numbers["multiplier"] = read_number(*entry, problems, 1, MULTIPLIER_MAX)
    if (entry := entries.get("jitter")) is not None:
        numbers["jitter"] = read_number(*entry, problems, 0, 1)
    given = {name: value for name, value in numbers.items() if value is not None}
    if "initial_ms" in given and "max_seconds" not in entries:
        given["max_ms"] = max(before.max_ms, given["initial_ms"])
    made = replace(before, **given)
    if made.max_ms < made.initial_ms and "max_seconds" in entries:
        problems.append(
            Problem(entries["max_seconds"][0], f"must be at least initial_seconds, {made.initial_ms / 1000:g}")
        )
    return made


@lru_cache(maxsize=1024)
def _only_retries(max_retries: int) -> RetryPolicy:
    return RetryPolicy(max_retries=max_retries)


def parse_retry_object(field: str, value: Any, problems: Problems) -> RetryPolicy | None:
    """A nested `retry` object; null is none."""
    if value is None:
        return None
    entries = entries_of(value, RETRY_NAMES, field, problems)
    return parse_retry({name: entry for name, entry in entries.items() if entry[1] is not None}, problems)


def retry_document(policy: RetryPolicy) -> dict[str, Any]:
    """The policy in the API's words; seconds are whole where they can be."""
    return {
        "max_retries": policy.max_retries,
        "strategy": policy.strategy,
        "initial_seconds": seconds_of(policy.initial_ms),
        "max_seconds": seconds_of(policy.max_ms),
        "multiplier": policy.multiplier,
        "jitter": policy.jitter,
    }


def seconds_of(duration_ms: int) -> float:
    """Milliseconds -> seconds, an int where it is one."""
    return duration_ms // 1000 if duration_ms % 1000 == 0 else duration_ms / 1000

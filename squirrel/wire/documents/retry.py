"""`retry` -> RetryPolicy and back."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

from msgspec.structs import replace

from squirrel.model.errors import Problem
from squirrel.model.limits import MULTIPLIER_MAX, RETRIES_MAX, RETRY_WORDS_MAX, SECONDS_MAX
from squirrel.model.retry import DEFAULT, FOR_EVER, RetryPolicy, RetryRules, Strategy
from squirrel.wire.documents.condition import read_condition
from squirrel.wire.documents.names import RETRY_NAMES, Entries, entries_of
from squirrel.wire.documents.values import Problems, read_choice, read_ms, read_number, shown

STRATEGIES = ("exponential", "linear", "fixed")
LINEAR_INITIAL_MS = 5_000  # 5, 10, 15 s, when nobody says otherwise
ERRORS = ("network", "dns", "connect", "tls", "timeout", "disconnected", "protocol", "response_too_large", "produce")
ANSWER_ROOTS = ("status", "headers", "body", "error")
_STATUS = re.compile(r"[1-5](?:xx|[0-9][0-9])", re.ASCII)
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
    if (entry := entries.get("deadline_seconds")) is not None:
        numbers["deadline_ms"] = read_ms(*entry, problems, WAIT_SECONDS_MIN, SECONDS_MAX)
    if "on" in entries or "if" in entries:
        numbers["rules"] = _rules(entries, problems, before.rules or RetryRules())
    given = {name: value for name, value in numbers.items() if value is not None}
    if given.get("strategy") == "linear" and before is DEFAULT and "initial_seconds" not in entries:
        given["initial_ms"] = LINEAR_INITIAL_MS
    if "initial_ms" in given and "max_seconds" not in entries:
        given["max_ms"] = max(before.max_ms, given["initial_ms"])
    made = replace(before, **given)
    if made.max_ms < made.initial_ms and "max_seconds" in entries:
        problems.append(
            Problem(entries["max_seconds"][0], f"must be at least initial_seconds, {made.initial_ms / 1000:g}")
        )
    return made


def _rules(entries: Entries, problems: Problems, before: RetryRules) -> RetryRules:
    words, condition = before.on, before.condition
    if (entry := entries.get("on")) is not None:
        words = _words(*entry, problems)
    if (entry := entries.get("if")) is not None:
        condition = read_condition(*entry, problems, ANSWER_ROOTS) or ""
    return RetryRules(words, condition)


def _words(field: str, value: Any, problems: Problems) -> tuple[str, ...]:
    """Statuses may be sent as numbers."""
    if not isinstance(value, list) or len(value) > RETRY_WORDS_MAX:
        problems.append(Problem(field, f'must be a list of at most {RETRY_WORDS_MAX} such as ["5xx", 429, "network"]'))
        return ()
    found = []
    for index, each in enumerate(value):
        word = str(each).lower() if type(each) in (int, str) else ""
        if word in ERRORS or _STATUS.fullmatch(word):
            found.append(word)
        else:
            known = ", ".join(ERRORS)
            reason = f"{shown(each)} is neither a status (429), a class (5xx) nor one of {known}"
            problems.append(Problem(f"{field}[{index}]", reason))
    return tuple(dict.fromkeys(found))


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
    document: dict[str, Any] = {
        "max_retries": policy.max_retries,
        "strategy": policy.strategy,
        "initial_seconds": seconds_of(policy.initial_ms),
        "max_seconds": seconds_of(policy.max_ms),
        "multiplier": policy.multiplier,
        "jitter": policy.jitter,
    }
    if policy.deadline_ms is not None:
        document["deadline_seconds"] = seconds_of(policy.deadline_ms)
    rules = policy.rules or RetryRules()
    if rules.on:
        document["on"] = list(rules.on)
    if rules.condition:
        document["if"] = rules.condition
    return document


def seconds_of(duration_ms: int) -> float:
    """Milliseconds -> seconds, an int where it is one."""
    return duration_ms // 1000 if duration_ms % 1000 == 0 else duration_ms / 1000

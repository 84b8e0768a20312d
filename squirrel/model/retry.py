"""Retry arithmetic: which attempts there are and when the next one is due. Pure; the random draw is an argument."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Strategy = Literal["exponential", "linear", "fixed"]
FOR_EVER = -1


class RetryRules(Struct, gc=False, frozen=True, array_like=True):
    """Which endings are tried again. They ride in each execution: the executor sees the whole answer.

    `on`: statuses (`503`), classes (`5xx`), `network` and the words of errors (`timeout`, `dns`, ...); empty means what api.md
    says of each status. `condition`: JMESPath over `{status, headers, body, error}`; where it holds, even a success is a
    failure that is tried again.
    """

    on: tuple[str, ...] = ()
    condition: str = ""


class RetryPolicy(Struct, gc=False, frozen=True, array_like=True):
    """How often and how far apart. `max_retries` 0 is a single attempt, -1 for ever; times in milliseconds.

    exponential: initial * multiplier ** n (1, 2, 4, 8 s); linear: initial * (n + 1) (5, 10, 15 s); fixed: initial.
    `jitter` 0.1 spreads the wait by up to +-10 %.
    """

    max_retries: int = 3
    strategy: Strategy = "exponential"
    initial_ms: int = 1_000
    max_ms: int = 3_600_000
    multiplier: float = 2.0
    jitter: float = 0.1
    deadline_ms: int | None = None  # after the first attempt's due time no attempt of this policy becomes due
    rules: RetryRules | None = None


NEVER = RetryPolicy(max_retries=0)
DEFAULT = RetryPolicy()


def exhausted(policy: RetryPolicy, attempts: int) -> bool:
    """Whether no attempt follows after `attempts` calls were made."""
    return policy.max_retries != FOR_EVER and attempts > policy.max_retries


def too_late(policy: RetryPolicy, began_ms: int, due_ms: int) -> bool:
    """Whether an attempt at `due_ms` lies behind the deadline of a policy whose first attempt was due at `began_ms`."""
    return policy.deadline_ms is not None and due_ms > began_ms + policy.deadline_ms


def wait_ms(policy: RetryPolicy, retry: int, draw: float) -> int:
    """Milliseconds before retry number `retry` (0 for the first); `draw` in [0, 1) places it inside the jitter."""
    if policy.strategy == "exponential":
        # The exponent is capped before it is used: 2.0 ** 5000 is an OverflowError, and "for ever" gets there.
        base = policy.initial_ms * policy.multiplier ** min(retry, 64)
    elif policy.strategy == "linear":
        base = policy.initial_ms * (retry + 1)
    else:
        base = policy.initial_ms
    base = min(base, policy.max_ms)
    return max(0, round(base * (1 + policy.jitter * (2 * draw - 1))))

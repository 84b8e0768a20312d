"""What an answer means: success, failure that may mend, failure that will not, or "never again". Pure.

Source: api.md ("What a target receives"), Standard Webhooks, RFC 9110 10.2.3 (Retry-After).
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from squirrel.model.limits import RETRY_AFTER_MS_MAX
from squirrel.wire.attempt import ErrorType

GONE: Final = 410
_POSTPONING: Final = frozenset({429, 503})
_SECONDS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_DATE_CHARS_MAX: Final = 64
# What another attempt cannot mend: a target that cannot be sent, or may not be called.
_HOPELESS: Final = frozenset({"bad_target", "refused_by_guard"})


def state_of(status: int, success_below: int = 300) -> Literal["succeeded", "failed", "gone"]:
    """2xx succeeds (or up to `success_below`), 410 stops the schedule, everything else fails; redirects are not followed."""
    if 200 <= status < success_below:
        return "succeeded"
    return "gone" if status == GONE else "failed"


def status_is_retryable(status: int) -> bool:
    """4xx are final except 429; redirects, 5xx and what HTTP does not know may mend."""
    return status == 429 or not 400 <= status < 500


def failure_is_retryable(error_type: ErrorType) -> bool:
    """Whether a call that got no whole answer may do better next time."""
    return error_type not in _HOPELESS


def retry_after_ms(status: int, value: str | None, now_ms: int) -> int | None:
    """Milliseconds that a 429 or 503 asks for, in seconds or as a date; 0 to a day; None when it asks for nothing."""
    if value is None or status not in _POSTPONING:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return min(int(text) * 1000, RETRY_AFTER_MS_MAX)
    if len(text) > _DATE_CHARS_MAX:
        return None
    try:
        moment = parsedate_to_datetime(text)
        wait_ms = int(moment.timestamp() * 1000) - now_ms if moment.tzinfo is not None else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return None if wait_ms is None else max(0, min(wait_ms, RETRY_AFTER_MS_MAX))

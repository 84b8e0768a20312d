"""What statuses and Retry-After mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.executor.targets.verdict import failure_is_retryable, retry_after_ms, state_of, status_is_retryable
from squirrel.model.limits import RETRY_AFTER_MS_MAX

NOW_MS = 1_445_412_480_000  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    ("status", "below", "state", "retryable"),
    [
        (200, 300, "succeeded", True),
        (204, 300, "succeeded", True),
        (299, 300, "succeeded", True),
        (300, 300, "failed", True),
        (302, 300, "failed", True),
        (302, 400, "succeeded", True),
        (400, 300, "failed", False),
        (404, 300, "failed", False),
        (408, 300, "failed", False),
        (410, 300, "gone", False),
        (410, 400, "gone", False),
        (429, 300, "failed", True),
        (500, 300, "failed", True),
        (503, 300, "failed", True),
        (599, 300, "failed", True),
        (999, 300, "failed", True),
    ],
)
def test_status(status: int, below: int, state: str, retryable: bool) -> None:
    assert state_of(status, below) == state
    assert status_is_retryable(status) is retryable


def test_only_what_cannot_mend_is_final() -> None:
    assert not failure_is_retryable("bad_target")
    assert not failure_is_retryable("refused_by_guard")
    assert failure_is_retryable("dns")
    assert failure_is_retryable("timeout")
    assert failure_is_retryable("connect")
    assert failure_is_retryable("disconnected")


@pytest.mark.parametrize(
    ("status", "value", "wait_ms"),
    [
        (429, "7", 7_000),
        (503, " 0 ", 0),
        (503, "999999999", RETRY_AFTER_MS_MAX),
        (503, "9" * 18, RETRY_AFTER_MS_MAX),
        (503, "9" * 5000, None),
        (429, "Wed, 21 Oct 2015 07:28:30 GMT", 30_000),
        (429, "Wednesday, 21-Oct-15 07:28:30 GMT", 30_000),
        (429, "Wed, 21 Oct 2015 07:00:00 GMT", 0),
        (429, "Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MS_MAX),
        (429, "Wed, 99 Oct 2015 07:28:30 GMT", None),
        (429, "-1", None),
        (429, "1.5", None),
        (429, "\u0661", None),
        (429, "soon", None),
        (429, "", None),
        (429, None, None),
        (500, "7", None),
        (200, "7", None),
    ],
)
def test_retry_after(status: int, value: str | None, wait_ms: int | None) -> None:
    assert retry_after_ms(status, value, NOW_MS) == wait_ms


@given(st.text(max_size=80))
def test_no_retry_after_raises_or_leaves_its_bounds(value: str) -> None:
    assert 0 <= (retry_after_ms(429, value, NOW_MS) or 0) <= RETRY_AFTER_MS_MAX

"""I1. Never early: each call is received at or after its due instant, by the judge's clock.

Checked twice: against the due instant that the call itself names, and against what the harness had asked for. A clock that was
set forward may make a service early by its jump, and by no more.
"""

from __future__ import annotations

from functools import lru_cache

from tests.judge.history import History
from tests.judge.lives import Life, lives_of
from tests.judge.records import Call, Violation

NAME = "I1"
CAUGHT_UP_MS = 2_000


def check(history: History) -> list[Violation]:
    lives = lives_of(history)
    found = []
    for call in history.calls:
        allowed_ms = history.settings.tolerance_ms + jumped_ms(history, call.mono_ns)
        life = lives.get(call.schedule_id)
        due_ms = max(call.due_ms, -1 if life is None else _asked_ms(life, call))
        if call.wall_ms < due_ms - allowed_ms:
            early_ms = due_ms - call.wall_ms
            found.append(
                Violation(NAME, call.schedule_id, f"{call.run} attempt {call.attempt} was {early_ms} ms early")
            )
    return found


def jumped_ms(history: History, at_ns: int) -> int:
    """How far some clock may have been ahead then. One that was set forward is caught up with so much later again."""
    return max((jump for since, until, jump in _jumps(history) if since <= at_ns <= until), default=0)


@lru_cache(maxsize=4)
def _jumps(history: History) -> list[tuple[int, int, int]]:
    return [
        (fault.mono_ns, fault.end_ns + (fault.jump_ms + CAUGHT_UP_MS) * 1_000_000, fault.jump_ms)
        for fault in history.faults
        if fault.jump_ms > 0
    ]


def _asked_ms(life: Life, call: Call) -> int:
    """The earliest instant at which this call may have been wanted; -1 when nothing is known."""
    if life.triggers:
        return -1
    if life.is_one_shot:
        ops = [op for op in (life.create, *life.updates) if op.outcome != "fail" and "at_ms" in op.asked]
        named = [op.asked["at_ms"] for op in ops if call.nonce is not None and op.asked.get("nonce") == call.nonce]
        return min(named or [op.asked["at_ms"] for op in ops], default=-1)
    return int(life.asked.get("start_ms", -1))

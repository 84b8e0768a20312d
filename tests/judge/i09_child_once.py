"""I9. A child is released exactly once per outcome it waits for, never before its parent is over; its delay counts from there.

A clock that was set forward may make it early by its jump, as in I1.
join all: once after the last parent; any: once after the first. Parents of the harness are one-shots, so a child owes one run.
"""

from __future__ import annotations

from tests.judge.history import History
from tests.judge.i01_never_early import jumped_ms
from tests.judge.lives import Life, lives_of
from tests.judge.records import Violation

NAME = "I9"
OUTCOMES = {"succeeded": "success", "failed": "failure"}


def check(history: History) -> list[Violation]:
    over: dict[str, tuple[str, int]] = {}
    for schedule, state, _, finished_ms in history.completions.values():
        over[schedule] = (OUTCOMES.get(state, state), finished_ms)
    return [
        violation
        for life in lives_of(history).values()
        if life.is_child and life.accepted
        for violation in _judge(history, life, over)
    ]


def _judge(history: History, life: Life, over: dict[str, tuple[str, int]]) -> list[Violation]:
    matched_ms: list[int] = []
    parents = life.asked["after"]
    for parent, wanted in parents:
        outcome, finished_ms = over.get(parent, ("", 0))
        if outcome == wanted or (outcome and wanted == "completion"):  # a cancelled parent is over, too
            matched_ms.append(finished_ms)
    runs = {call.run for call in history.calls_of.get(life.id, [])}
    needed = len(parents) if life.asked.get("join", "all") == "all" else 1
    if len(matched_ms) < needed:
        return [Violation(NAME, life.id, "it ran although its parents' outcome is another")] if runs else []
    released_ms = (max if needed > 1 else min)(matched_ms) + life.asked.get("delay_ms", 0)
    if len(runs) > 1:
        return [Violation(NAME, life.id, f"{len(runs)} runs of one release: {sorted(runs)[:3]}")]
    if not runs:
        lost = released_ms < history.cutoff_ms and not life.maybe_cancelled and not history.runs_of.get(life.id)
        return [Violation(NAME, life.id, "its parents are over and it never ran")] if lost else []
    calls = history.calls_of.get(life.id, [])
    tolerance_ms = history.settings.tolerance_ms + jumped_ms(history, calls[0].mono_ns)
    if calls[0].wall_ms < released_ms - tolerance_ms:
        return [Violation(NAME, life.id, f"it ran {released_ms - calls[0].wall_ms} ms before it was released")]
    return []

"""I4. Repeats are bounded and carry the same ids: n calls of one run and attempt need n - 1 faults around them.

Around: within the commit interval and the session timeout before the first call and after the last one. In all, there are no more
repeats than calls that were open at the faults and one batch of the engine for each. A repeat has the same schedule and body.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict

from tests.judge.history import History
from tests.judge.records import Call, Violation

NAME = "I4"
# These take no process and no connection away from anybody, so they excuse no repeat.
HARMLESS = ("cassandra", "history", "target", "poison", "replay", "clock", "load", "workload")


def repeats_of(history: History) -> dict[tuple[str, int], list[Call]]:
    """The calls of each run and attempt that was called more than once."""
    groups: dict[tuple[str, int], list[Call]] = defaultdict(list)
    for call in history.calls:
        groups[call.run, call.attempt].append(call)
    return {key: calls for key, calls in groups.items() if len(calls) > 1}


def check(history: History) -> list[Violation]:
    settings = history.settings
    reach_ns = (settings.commit_interval_ms + settings.session_timeout_ms) * 1_000_000
    faults = [fault for fault in history.faults if not fault.kind.startswith(HARMLESS)]
    found: list[Violation] = []
    repeats = repeats_of(history)
    for (run, attempt), calls in repeats.items():
        first = calls[0]
        if any(call.schedule_id != first.schedule_id for call in calls):
            found.append(Violation(NAME, first.schedule_id, f"{run} belongs to more than one schedule"))
        if any((call.content, call.body) != (first.content, first.body) for call in calls):
            found.append(Violation(NAME, first.schedule_id, f"{run} attempt {attempt} was repeated with another body"))
        since_ns, until_ns = first.mono_ns - reach_ns, max(call.end_ns for call in calls) + reach_ns
        around = sum(fault.mono_ns <= until_ns and fault.end_ns >= since_ns for fault in faults)
        if around < len(calls) - 1:
            detail = f"{run} attempt {attempt} was called {len(calls)} times with {around} faults around it"
            found.append(Violation(NAME, first.schedule_id, detail))
    total = sum(len(calls) - 1 for calls in repeats.values())
    bound = _open_at(history.calls, [fault.mono_ns for fault in faults]) + len(faults) * settings.engine_batch
    if total > bound:
        found.append(Violation(NAME, "*", f"{total} repeats, where {bound} can be explained"))
    return found


def _open_at(calls: list[Call], instants_ns: list[int]) -> int:
    """How many calls were open at each instant, added up: begun before it less ended before it."""
    starts = sorted(call.mono_ns for call in calls)
    ends = sorted(call.end_ns for call in calls)
    return sum(bisect_right(starts, instant) - bisect_left(ends, instant) for instant in instants_ns)

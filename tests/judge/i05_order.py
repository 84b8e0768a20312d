"""I5. Order: first attempts of a schedule follow its slots, runs that must not overlap do not, groups are emitted by due time.

No order is claimed between schedules of different groups, nor between calls of `overlap: allow`.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from tests.judge.history import History
from tests.judge.lives import Life, lives_of
from tests.judge.records import Call, Violation

NAME = "I5"


def check(history: History) -> list[Violation]:
    lives = lives_of(history)
    found: list[Violation] = []
    for life in lives.values():
        recurring = "every_ms" in life.asked
        if recurring and not life.triggers and life.asked.get("overlap", "skip") != "allow":
            found.extend(_intervals(life, history.calls_of.get(life.id, []), history.runs_of.get(life.id, {})))
    if history.has_tap("executions"):
        found.extend(_groups(history, lives))
    return found


def _intervals(life: Life, calls: list[Call], slots: dict[str, int]) -> list[Violation]:
    """Each run is one interval, from its first call to the end of its last attempt, as soon as one call of that ended."""
    attempts: dict[str, dict[int, Call]] = defaultdict(dict)
    starts: dict[str, int] = {}
    for call in calls:
        starts.setdefault(call.run, call.mono_ns)
        known = attempts[call.run].get(call.attempt)
        if known is None or (call.ended_ns is not None and call.end_ns < known.end_ns):
            attempts[call.run][call.attempt] = call
    runs = sorted(starts, key=lambda run: starts[run])
    found = []
    for earlier, later in pairwise(runs):
        if slots.get(earlier, 0) > slots.get(later, 0):
            found.append(Violation(NAME, life.id, f"{later} was called after {earlier}, whose slot is later"))
        end_ns = max(call.end_ns for call in attempts[earlier].values())
        if starts[later] < end_ns:
            overlap_ms = (end_ns - starts[later]) / 1e6
            found.append(Violation(NAME, life.id, f"{later} began {overlap_ms:.0f} ms before {earlier} had ended"))
    return found


def _groups(history: History, lives: dict[str, Life]) -> list[Violation]:
    """First emissions of a group's members, by offset: no due time goes back, but for members that came when it had passed."""
    newest: dict[str, tuple[int, int]] = {}
    seen: set[str] = set()
    found = []
    for record in history.tap("executions"):
        life = lives.get(record["schedule"])
        group = None if life is None else life.asked.get("group")
        if life is None or group is None or record["attempt"] != 1 or record["run"] in seen:
            continue
        seen.add(record["run"])
        due_ms, emitted_ms = newest.get(group, (-1, -1))
        # What is only stored is applied nobody knows when, perhaps after others of its group were due.
        ops = (life.create, *life.updates)
        changed_ns = max((op.ended_ns or history.end_ns) if op.is_done else history.end_ns for op in ops)
        if record["due_ms"] < due_ms and history.wall_ms(changed_ns) < emitted_ms:
            detail = f"{record['run']} of group {group} was emitted after one that is due {due_ms - record['due_ms']} ms later"
            found.append(Violation(NAME, life.id, detail))
        newest[group] = max((due_ms, emitted_ms), (record["due_ms"], record["emitted_ms"]))
    return found

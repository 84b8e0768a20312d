"""I2. Nothing lost: each slot of an acknowledged, not cancelled schedule has exactly one run, called or completed with a reason.

Twice: by ids, and id-blind by matching windows with the times of calls. Both must agree, or the ids lie.
"""

from __future__ import annotations

from collections import Counter

from tests.judge.history import History
from tests.judge.lives import Life, lives_of
from tests.judge.matching import unmatched
from tests.judge.records import Violation

NAME = "I2"
WITHOUT_A_CALL = frozenset({"skipped", "missed", "cancelled"})


def check(history: History) -> list[Violation]:
    found: list[Violation] = []
    for life in lives_of(history).values():
        listed = history.final_schedules.get(life.id, {}).get("status") == 200
        bound = life.accepted or (life.create.outcome == "info" and listed)
        if bound and not life.maybe_cancelled and not life.is_child and not life.triggers:
            found.extend(_judge(history, life))
    return found


def _judge(history: History, life: Life) -> list[Violation]:
    owed = life.slots_ms(history.cutoff_ms)
    if not life.is_one_shot:
        paused_ms = life.paused_ms(history)
        owed = [slot for slot in owed if life.taken_ms(history) < slot < paused_ms]
    runs = history.runs_of.get(life.id, {})
    called = {call.run for call in history.calls_of.get(life.id, [])}
    excused = {run for run in runs if run not in called and _ended_without_call(history, run)}
    kept = {run: slot for run, slot in runs.items() if run in called or run in excused}
    if life.is_one_shot:
        lost = owed if not kept else []
        doubled = sorted(kept) if len(kept) > 1 else []
        strange = [slot for slot in kept.values() if slot not in life.dues_ms()]
    else:
        held = Counter(kept.values())
        lost = [slot for slot in owed if not held[slot]]
        doubled = [str(slot) for slot, count in held.items() if count > 1]
        asked = set(life.slots_ms(float(history.end_wall_ms + 3_600_000)))
        strange = [slot for slot in held if slot not in asked]
    found = [Violation(NAME, life.id, f"the slot {slot} was never called") for slot in lost]
    if doubled:
        found.append(Violation(NAME, life.id, f"more than one run for one slot: {doubled[:4]}"))
    if strange:
        found.append(Violation(NAME, life.id, f"runs of slots that nobody asked for: {strange[:4]}"))
    blind = _blind(history, life, owed, [runs[run] for run in excused])
    if len(blind) > len(lost):
        found.append(Violation(NAME, life.id, f"ids say {len(lost)} lost, times say {len(blind)}: the ids lie"))
    return found


def _ended_without_call(history: History, run: str) -> bool:
    """It says why it was not called, or an attempt failed before it reached the target."""
    if run in history.unheard:
        return True
    completion = history.completions.get(run)
    return completion is not None and completion[1] in WITHOUT_A_CALL


def _blind(history: History, life: Life, owed: list[int], excused: list[int]) -> list[tuple[float, float]]:
    """The windows without a call, by time alone. A moved one-shot is looked for from the earliest instant it ever had."""
    left = Counter(owed)
    left.subtract(slot for slot in excused if slot in left)
    tolerance_ms = history.settings.tolerance_ms + max([0, *(fault.jump_ms for fault in history.faults)])
    if life.is_one_shot and owed:
        left = Counter({min(life.dues_ms()): 0 if excused else 1})
    windows = [(slot - tolerance_ms, float(history.end_wall_ms)) for slot in (+left).elements()]
    return unmatched(windows, [call.wall_ms for call in history.calls_of.get(life.id, [])])

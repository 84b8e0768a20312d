"""I10. The missed policy is exact: of the slots in a downtime run_all calls every one in order, run_last the last, skip none.

Those not called have a completion (skipped or missed). A downtime is from an acknowledged pause to the next resume; what the
preview of the resume said is what then happens. Slots within the grace of its end are ordinary work and not judged. When a pause
ended is what the engine's clock said: where one had been set, the end is a span, and what falls into it is not judged.
"""

from __future__ import annotations

from tests.judge.history import History
from tests.judge.lives import Life, lives_of
from tests.judge.records import Fault, Op, Violation

NAME = "I10"
GRACE_MS = 1_000  # model/limits.py, MISSED_GRACE_MS
BELIEVED_MS = 1_000  # runtime/clock.py, STEP_NS_TRUSTED_MAX: a larger step ahead is doubted
DOUBTED_MS = 5_000  # and DISTRUST_NS_MAX: for so long


def check(history: History) -> list[Violation]:
    found: list[Violation] = []
    previews = [op for op in history.ops if op.op == "preview_resume" and op.outcome == "ok"]
    for life in lives_of(history).values():
        if "every_ms" not in life.asked or life.maybe_cancelled or not life.accepted:
            continue
        for pause in life.pauses:
            resume = next((op for op in life.resumes if op.started_ns > (pause.ended_ns or history.end_ns)), None)
            if pause.is_done and resume is not None and resume.is_done:
                found.extend(_judge(history, life, pause, resume))
                found.extend(_previewed(history, life, previews, pause, resume))
    return found


def _judge(history: History, life: Life, pause: Op, resume: Op) -> list[Violation]:
    since_ms, until_ms = history.wall_ms(pause.ended_ns or 0), history.wall_ms(resume.started_ns)
    if until_ms + history.settings.epsilon_ms > history.end_wall_ms:
        return []
    behind_ms, ahead_ms = _clocks_ms(history, resume)
    down = [slot for slot in life.slots_ms(until_ms + ahead_ms) if slot > since_ms + history.settings.emit_ahead_ms]
    judged = [slot for slot in down if slot < until_ms - behind_ms - GRACE_MS]
    # Those that are the last one at some instant of the span.
    last = [slot for slot, then in zip(down, [*down, None][1:], strict=True) if not then or then > until_ms - behind_ms]
    policy = life.asked.get("missed", "run_last")
    wanted = {"run_all": set(judged), "run_last": set(last), "skip": set()}[policy]
    owed = wanted if policy == "run_all" or len(last) == 1 else set()
    called = _called_slots(history, life)
    ended = {slot for schedule, _, slot, _ in history.completions.values() if schedule == life.id}
    found = []
    # The run before the pause may still be open: then the overlap policy skips the last slot, and says so.
    overlapped = ended if policy == "run_last" and life.asked.get("overlap", "skip") == "skip" else set()
    if missing := [slot for slot in judged if slot in owed and slot not in called and slot not in overlapped]:
        found.append(Violation(NAME, life.id, f"{policy}: the slots {missing[:3]} of its pause were not called"))
    if extra := [slot for slot in judged if slot not in wanted and slot in called]:
        found.append(Violation(NAME, life.id, f"{policy}: the slots {extra[:3]} of its pause were called"))
    if silent := [slot for slot in judged if slot not in wanted and slot not in called and slot not in ended]:
        found.append(Violation(NAME, life.id, f"{policy}: the slots {silent[:3]} have no completion that says so"))
    return found


def _clocks_ms(history: History, resume: Op) -> tuple[int, int]:
    """How far a clock that had been set may have been behind and ahead when the resume was taken."""
    begun_ns, ended_ns = resume.started_ns, resume.ended_ns or history.end_ns
    behind_ms, ahead_ms = 0, 0
    for fault in history.faults:
        told_ms = _told_ms(fault)
        # Set right again, one that was behind is doubted, and one that was ahead stands still.
        after_ms = DOUBTED_MS if told_ms < 0 else told_ms
        if told_ms and fault.mono_ns <= ended_ns and begun_ns <= fault.end_ns + after_ms * 1_000_000:
            behind_ms, ahead_ms = max(behind_ms, -told_ms), max(ahead_ms, told_ms)
    return behind_ms, ahead_ms


def _told_ms(fault: Fault) -> int:
    """How far the time that was told went wrong: a large step ahead is believed only after a while."""
    doubted = fault.jump_ms > BELIEVED_MS and fault.end_ns - fault.mono_ns < DOUBTED_MS * 1_000_000
    return 0 if doubted else fault.jump_ms


def _previewed(history: History, life: Life, previews: list[Op], pause: Op, resume: Op) -> list[Violation]:
    since_ns = pause.ended_ns or history.end_ns
    mine = [
        op
        for op in previews
        if op.id == life.id and op.started_ns > since_ns and (op.ended_ns or history.end_ns) < resume.started_ns
    ]
    if not mine or resume.ended_ns is None:
        return []
    said = set((mine[-1].answer or {}).get("slots_ms", ()))
    called = _called_slots(history, life)
    if lost := sorted(slot for slot in said if slot not in called and life.asked.get("missed") == "run_all"):
        return [Violation(NAME, life.id, f"the preview of its resume named {lost[:3]}, which were not called")]
    return []


def _called_slots(history: History, life: Life) -> set[int]:
    slots = history.runs_of.get(life.id, {})
    return {slots[call.run] for call in history.calls_of.get(life.id, []) if call.run in slots}

"""What a schedule owes: the slots that came while nothing could run, and what the missed policy makes of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from squirrel.model.limits import MISSED_GRACE_MS
from squirrel.model.schedule import Spec, missed_policy
from squirrel.recurrence.rule import Rule, spread_offset_ms

Outcome = Literal["run", "skipped", "missed"]


class Owed(NamedTuple):
    """One slot that is due, epoch ms, with what becomes of it and why (empty for a run)."""

    slot_ms: int
    due_ms: int
    outcome: Outcome
    reason: str = ""


class Owing(NamedTuple):
    """What `owed_slots` needs of a row: its spec, key (`namespace/id`), next slot, and the runs that its slots became."""

    spec: Spec
    key: str
    slot_ms: int | None
    slots: int = 0


def owed_slots(owing: Owing, rule: Rule, now_ms: int) -> Iterator[Owed]:
    """The slots due by now, oldest first, as the engine would take them were it to go on at `now_ms`.

    One at a time, so that the caller bounds the walk. Runs of an overlap policy that still go on are not foreseen.
    Raises RuleError for a rule that cannot be evaluated.
    """
    spread_ms = spread_offset_ms(owing.key, owing.spec.when.spread_seconds)
    max_runs = owing.spec.when.max_runs
    made = owing.slots
    slot_ms = owing.slot_ms
    while slot_ms is not None and slot_ms + spread_ms <= now_ms and (max_runs is None or made < max_runs):
        following_ms = rule.next_after(slot_ms)
        is_last = following_ms is None or following_ms + spread_ms > now_ms
        outcome, reason = judge_missed(owing.spec, now_ms - slot_ms - spread_ms, is_last)
        made += outcome == "run"
        yield Owed(slot_ms, slot_ms + spread_ms, outcome, reason)
        slot_ms = following_ms


def judge_missed(spec: Spec, late_ms: int, is_last: bool) -> tuple[Outcome, str]:
    """The missed policy's word on a slot that is `late_ms` late; `is_last` when no later one is due yet."""
    policy = missed_policy(spec)
    if spec.max_lateness_ms is not None and late_ms > spec.max_lateness_ms:
        return "missed", f"{late_ms} ms late; max_lateness_seconds allows {spec.max_lateness_ms} ms"
    if policy == "skip" and late_ms > MISSED_GRACE_MS:
        return "skipped", f"missed by {late_ms} ms; the missed policy is skip"
    if policy == "run_last" and not is_last:
        return "skipped", f"missed by {late_ms} ms; the missed policy runs the last one only"
    return "run", ""


def last_slot_until(rule: Rule, low_ms: int, high_ms: int) -> int | None:
    """The last slot in [low, high], found by doubling steps back from `high`, so that a million slots cost a few questions."""
    step_ms = 1_000
    while True:
        begin_ms = max(high_ms - step_ms, low_ms - 1)
        found = rule.next_after(begin_ms)
        if found is not None and found <= high_ms:
            return _last_between(rule, found, high_ms)
        if begin_ms < low_ms:
            return None
        step_ms *= 2


def _last_between(rule: Rule, first_ms: int, high_ms: int) -> int:
    """The last slot from `first_ms`, which is one, up to `high_ms`: halving, for what lies between may be many."""
    low_ms, beyond_ms = first_ms, high_ms
    while low_ms < beyond_ms:
        middle_ms = (low_ms + beyond_ms + 1) // 2
        found = rule.next_after(middle_ms - 1)
        if found is not None and found <= high_ms:
            low_ms = found
        else:
            beyond_ms = middle_ms - 1
    return low_ms

"""Slots: the instants a schedule belongs to. The engine asks the rule for the next slot after t, and nothing else of it."""

from __future__ import annotations

from squirrel.model.errors import Problem
from squirrel.model.limits import MISSED_GRACE_MS, OPEN_RUNS_MAX, QUEUED_RUNS_MAX
from squirrel.model.schedule import OpenRun, Row, RunState, Spec, State, is_recurring, missed_policy
from squirrel.recurrence import CalendarLookup, RuleError, compile_rule, judge_missed, spread_offset_ms

HELD_KINDS = ("slot", "event")  # runs that a pause holds back; what a person triggers goes on

# Verdicts on a due slot.
RUN = "run"
QUEUE = "queue"
WAIT = "wait"


def slot_after(row: Row, after_ms: int, calendars: CalendarLookup) -> int | None:
    """The first slot after `after_ms`, or None. Raises RuleError for a rule that cannot be evaluated."""
    when = row.spec.when
    if when.at_ms is not None and not when.exclude:
        return when.at_ms if after_ms < when.at_ms else None
    key = f"{row.namespace}/{row.id}"
    rule = compile_rule(when, created_ms=row.rule_ms, schedule_key=key, calendars=calendars)
    return rule.next_after(after_ms)


def plan_first_slot(row: Row, calendars: CalendarLookup) -> Problem | None:
    """Set `slot_ms` for a new or changed rule; a problem parks the schedule as failed instead of stopping a loop."""
    when = row.spec.when
    one_shot = not is_recurring(when)
    try:
        # A one-shot in the past is owed; a recurring rule owes nothing from before it was made.
        row.slot_ms = slot_after(row, -1 if one_shot else row.updated_ms - 1, calendars)
    except RuleError as error:
        row.slot_ms = None
        return Problem(error.field, error.reason)
    return None


def due_of(row: Row, slot_ms: int) -> int:
    """Slot plus the stable spread of the schedule."""
    spread = row.spec.when.spread_seconds
    return slot_ms + spread_offset_ms(f"{row.namespace}/{row.id}", spread) if spread else slot_ms


def wake_of(row: Row) -> int | None:
    """The earliest instant at which the row needs a step without anything new arriving; None: never by itself."""
    if row.releasing:
        return row.updated_ms
    wake = row.expires_ms
    for run in row.runs:
        if run.state is RunState.RETRY_WAIT and (row.state is not State.PAUSED or run.kind not in HELD_KINDS):
            wake = run.due_ms if wake is None else min(wake, run.due_ms)
        elif run.until_ms is not None and run.state is RunState.IN_FLIGHT:
            wake = run.until_ms if wake is None else min(wake, run.until_ms)
    if row.slot_ms is not None and row.state is State.ACTIVE and not _is_blocked(row, row.slot_ms):
        due_ms = due_of(row, row.slot_ms)
        wake = due_ms if wake is None else min(wake, due_ms)
    return wake


def _is_blocked(row: Row, slot_ms: int) -> bool:
    """An owed slot waits for the run before it: made up for one by one, in order."""
    owed = row.owed_until_ms is not None and slot_ms <= row.owed_until_ms
    return owed and bool(row.runs) and row.spec.overlap != "allow"


def judge(row: Row, slot_ms: int, following_ms: int | None, now_ms: int) -> tuple[str, str]:
    """What a due slot becomes: (verdict, reason). A verdict is RUN, QUEUE, WAIT, or a final run state with its reason.

    One meaning for `missed` after a crash, a pause, a re-enable and a rebalance alike: it only looks at how late the slot is.
    """
    spec = row.spec
    late_ms = now_ms - due_of(row, slot_ms)
    policy = missed_policy(spec)
    outcome, reason = judge_missed(spec, late_ms, following_ms is None or due_of(row, following_ms) > now_ms)
    if outcome != "run":
        return RunState(outcome), reason
    if not row.runs or not is_recurring(spec.when):
        return RUN, ""  # a one-shot has nothing to overlap with but a manual trigger, which must not swallow it
    owed = late_ms > MISSED_GRACE_MS and policy == "run_all"
    if spec.overlap != "allow" and (owed or _is_blocked(row, slot_ms)):
        return WAIT, ""
    return _judge_overlap(row)


def _judge_overlap(row: Row) -> tuple[str, str]:
    if row.spec.overlap == "allow":
        if len(row.runs) < OPEN_RUNS_MAX:
            return RUN, ""
        return RunState.SKIPPED, f"{OPEN_RUNS_MAX} runs are open, which is the limit"
    if row.spec.overlap == "queue":
        waiting = sum(run.state is RunState.SCHEDULED for run in row.runs)
        if waiting < QUEUED_RUNS_MAX:
            return QUEUE, ""
        return RunState.SKIPPED, f"{QUEUED_RUNS_MAX} runs are queued, which is the limit"
    return RunState.SKIPPED, "the run before it is still open; the overlap policy is skip"


def take_due_slot(row: Row, now_ms: int, horizon_ms: int, calendars: CalendarLookup) -> tuple[int, str, str] | None:
    """Take the next slot that is due off the row: (slot, verdict, reason), or None when there is none (or it must wait).

    Raises RuleError for a rule that cannot be evaluated.
    """
    slot_ms = row.slot_ms
    if slot_ms is None or row.state is not State.ACTIVE or due_of(row, slot_ms) > horizon_ms:
        return None
    if _runs_whatever_the_hour(row.spec):
        row.slot_ms = None
        row.slots += 1
        return slot_ms, RUN, ""
    if row.spec.when.exclude:
        # A calendar may have changed since the slot was planned, also while no engine ran.
        row.slot_ms = slot_after(row, slot_ms - 1, calendars)
        if row.slot_ms != slot_ms:
            return take_due_slot(row, now_ms, horizon_ms, calendars)
    following_ms = slot_after(row, slot_ms, calendars)
    verdict, reason = judge(row, slot_ms, following_ms, now_ms)
    if verdict == WAIT:
        row.owed_until_ms = max(row.owed_until_ms or 0, now_ms)
        return None
    row.slot_ms = following_ms
    if verdict in (RUN, QUEUE):
        row.slots += 1
        max_runs = row.spec.when.max_runs
        if max_runs is not None and row.slots >= max_runs:
            row.slot_ms = None
    return slot_ms, verdict, reason


def _runs_whatever_the_hour(spec: Spec) -> bool:
    """An ordinary one-shot: no policy has anything to say about it, and no other slot follows. A third of the cost of firing."""
    when = spec.when
    return when.at_ms is not None and not when.exclude and spec.max_lateness_ms is None and spec.missed != "skip"


def queued_run(row: Row) -> OpenRun | None:
    """The oldest run that waits for the one before it, when nothing of the schedule is open any more."""
    if any(run.state in (RunState.IN_FLIGHT, RunState.RETRY_WAIT) for run in row.runs):
        return None
    return next((run for run in row.runs if run.state is RunState.SCHEDULED), None)

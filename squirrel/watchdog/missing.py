"""Which runs should have been by now: the slots of a schedule's rule since the last thing the engine did about it."""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

from squirrel.model.schedule import FINAL, Row, RunState
from squirrel.recurrence import CalendarLookup, Owing, RuleError, compile_rule, owed_slots

SLOTS_COUNTED_MAX: Final = 1_000
SLOTS_SHOWN_MAX: Final = 20


class Missing(NamedTuple):
    """Due instants, oldest first: the first SLOTS_SHOWN_MAX, how many in `total`, and whether these are all."""

    due_ms: list[int]
    total: int
    complete: bool


def missing_runs(row: Row, now_ms: int, calendars: CalendarLookup) -> Missing:
    """Slots that are due and were not taken, and runs whose next attempt is. A rule that cannot be evaluated has none."""
    found = sorted(
        run.due_ms
        for run in row.runs
        if run.state in (RunState.RETRY_WAIT, RunState.SCHEDULED) and run.due_ms <= now_ms
    )
    if row.slot_ms is not None and row.state not in FINAL:
        when = row.spec.when
        key = f"{row.namespace}/{row.id}"
        try:
            rule = compile_rule(when, created_ms=row.rule_ms, schedule_key=key, calendars=calendars)
            owing = Owing(row.spec, key, row.slot_ms, row.slots)
            found += [each.due_ms for each in islice(owed_slots(owing, rule, now_ms), SLOTS_COUNTED_MAX + 1)]
        except RuleError:
            pass  # the engine says so when it comes to it
    return Missing(found[:SLOTS_SHOWN_MAX], min(len(found), SLOTS_COUNTED_MAX), len(found) <= SLOTS_COUNTED_MAX)

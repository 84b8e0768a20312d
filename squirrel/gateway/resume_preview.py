"""`POST /schedules/{id}:preview-resume`: what a resume would run, before anything runs. Changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.lookups import Lookups
from squirrel.gateway.slot_walk import STRETCH_SECONDS, WALK_SECONDS_MAX
from squirrel.model.clock import Clock
from squirrel.model.instants import format_instant, format_instant_or_none
from squirrel.model.schedule import FINAL, Row, RunState, missed_policy
from squirrel.recurrence import (
    Owed,
    Owing,
    Rule,
    RuleError,
    compile_rule,
    judge_missed,
    last_slot_until,
    owed_slots,
    spread_offset_ms,
)
from squirrel.wire.calendar_book import CalendarBook
from squirrel.wire.documents import answer_json

OWED_LISTED_MAX: Final = 1_000  # what a person or a page can look at
OWED_COUNTED_MAX: Final = 100_000  # beyond it the answer says "at least"
_HELD: Final = (RunState.SCHEDULED, RunState.RETRY_WAIT)

assert OWED_LISTED_MAX <= OWED_COUNTED_MAX, "what is listed is counted"


class ResumePreviews:
    """Handler."""

    def __init__(self, clock: Clock, lookups: Lookups, calendars: CalendarBook) -> None:
        self._clock = clock
        self._lookups = lookups
        self._calendars = calendars

    async def preview(self, call: Call) -> Response:
        """POST /schedules/{id}:preview-resume."""
        row = (await self._lookups.get(call.namespace, call.schedule_id)).row
        now_ms = self._clock.now_ms()
        document: dict[str, Any] = {
            "id": row.id,
            "state": str(row.state),
            "missed": missed_policy(row.spec),
            "as_of": format_instant(now_ms),
        }
        try:
            document |= await self._owed(row, now_ms)
        except RuleError as error:
            document |= _nothing() | {"warnings": [f"{error.field}: {error.reason}. {error.fix}"]}
        document["held"] = [
            {"id": run.id, "slot": format_instant(run.slot_ms), "state": str(run.state)}
            for run in row.runs
            if run.state in _HELD and run.due_ms <= now_ms
        ][:OWED_LISTED_MAX]
        return Response(answer_json(document), 200, media_type="application/json")

    async def _owed(self, row: Row, now_ms: int) -> dict[str, Any]:
        when = row.spec.when
        key = f"{row.namespace}/{row.id}"
        rule = compile_rule(
            when, created_ms=row.rule_ms, schedule_key=key, calendars=self._calendars.lookup(row.namespace)
        )
        slot_ms = None if row.state in FINAL else row.slot_ms
        if slot_ms is not None and when.exclude:
            slot_ms = rule.next_after(slot_ms - 1)  # a calendar may have changed since the slot was planned
        owing = Owing(row.spec, key, slot_ms, row.slots)
        found, counts, complete = await self._walk(owing, rule, now_ms)
        next_ms = rule.next_after(now_ms - spread_offset_ms(key, when.spread_seconds)) if slot_ms is not None else None
        shown = [_shown(each) for each in found]
        document: dict[str, Any] = {
            "owed": sum(counts.values()),
            "would_run": counts["run"],
            "slots": [format_instant(each.slot_ms) for each in found],
            "runs": shown,
            "listed_all": complete and len(found) == sum(counts.values()),
            "complete": complete,
            "next_slot": format_instant_or_none(next_ms),
        }
        if not complete:
            said = f"more than {sum(counts.values())} slots are owed; counting stopped there"
            document["warnings"] = [said]
            last = _last(owing, rule, now_ms) if missed_policy(row.spec) == "run_last" else None
            if last is not None:
                shown.append(_shown(last))
                document["would_run"] = counts["run"] + (last.outcome == "run")
        return document

    async def _walk(self, owing: Owing, rule: Rule, now_ms: int) -> tuple[list[Owed], dict[str, int], bool]:
        """The first owed slots, how many of each outcome, and whether these are all; bounded in number and time."""
        found: list[Owed] = []
        counts = {"run": 0, "skipped": 0, "missed": 0}
        ends_at = self._clock.monotonic() + WALK_SECONDS_MAX
        turn_at = self._clock.monotonic() + STRETCH_SECONDS
        for number, owed in enumerate(owed_slots(owing, rule, now_ms)):
            now = self._clock.monotonic()
            if number >= OWED_COUNTED_MAX or now >= ends_at:
                return found, counts, False
            counts[owed.outcome] += 1
            if number < OWED_LISTED_MAX:
                found.append(owed)
            if now >= turn_at:
                await asyncio.sleep(0)
                turn_at = self._clock.monotonic() + STRETCH_SECONDS
        return found, counts, True


def _nothing() -> dict[str, Any]:
    return {
        "owed": 0, "would_run": 0, "slots": [], "runs": [], "listed_all": True, "complete": True, "next_slot": None,
    }  # fmt: skip


def _last(owing: Owing, rule: Rule, now_ms: int) -> Owed | None:
    """The one that `run_last` runs, although the walk did not come so far."""
    spread_ms = spread_offset_ms(owing.key, owing.spec.when.spread_seconds)
    slot_ms = last_slot_until(rule, owing.slot_ms or 0, now_ms - spread_ms)
    if slot_ms is None:
        return None
    outcome, reason = judge_missed(owing.spec, now_ms - slot_ms - spread_ms, is_last=True)
    return Owed(slot_ms, slot_ms + spread_ms, outcome, reason)


def _shown(owed: Owed) -> dict[str, str]:
    shown = {"slot": format_instant(owed.slot_ms), "due": format_instant(owed.due_ms), "outcome": owed.outcome}
    return {**shown, "reason": owed.reason} if owed.reason else shown

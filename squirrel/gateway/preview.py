"""What a rule would do: its next runs in instants and in words, and the presets to start from. Nothing is stored."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.slot_walk import WALK_SECONDS_MAX, walk_slots
from squirrel.model.clock import Clock
from squirrel.model.errors import Problem, Refused
from squirrel.model.instants import format_instant
from squirrel.recurrence import PRESETS, RuleError, compile_rule, explain, last_slot_until, tzdata_version, warnings
from squirrel.wire.calendar_book import CalendarBook
from squirrel.wire.documents import answer_json, check_calendars
from squirrel.wire.documents.preview import Preview, parse_preview

WARNED_AHEAD_MS: Final = 370 * 86_400_000  # every clock change of a zone falls in it
_WAITS: Final = "runs follow other schedules' runs, not the clock, so their instants are not known beforehand"


class Previews:
    """Handlers."""

    def __init__(self, clock: Clock, calendars: CalendarBook) -> None:
        self._clock = clock
        self._calendars = calendars

    async def preview(self, call: Call) -> Response:
        """POST /preview."""
        now_ms = self._clock.now_ms()
        asked = parse_preview(call.body, now_ms)
        check_calendars(asked.when, self._calendars.lookup(call.namespace), min(now_ms, asked.from_ms))
        try:
            document = await self._document(asked, call.namespace)
        except RuleError as error:
            raise Refused("invalid", [Problem(error.field, f"{error.reason}. {error.fix}")]) from None
        return Response(answer_json(document), 200, media_type="application/json")

    async def _document(self, asked: Preview, namespace: str) -> dict[str, object]:
        when, from_ms = asked.when, asked.from_ms
        calendars = self._calendars.lookup(namespace)
        rule = compile_rule(when, created_ms=from_ms, calendars=calendars)
        count = asked.runs_max if when.max_runs is None else min(asked.runs_max, when.max_runs)
        walked = await walk_slots(rule, from_ms, None, count, self._clock)
        slots = walked.slots
        said = warnings(when, from_ms, slots, created_ms=from_ms, calendars=calendars)
        if not said and slots and walked.complete and len(slots) != when.max_runs:
            # Nothing happens to the runs that are shown; it may to those of the coming year.
            last_ms = last_slot_until(rule, slots[-1], from_ms + WARNED_AHEAD_MS) or slots[-1]
            said = warnings(when, from_ms, [*slots, last_ms], created_ms=from_ms, calendars=calendars)
        if when.after or when.on_event is not None:
            said.append(_WAITS)
        elif not walked.slots:
            said.append("the rule has no run at or after from")
        if not walked.complete:
            said.append(f"the rule takes long: {len(walked.slots)} runs were found in {WALK_SECONDS_MAX:g} s")
        if when.spread_seconds:
            said.append(f"each run starts up to {when.spread_seconds} s later, by spread_seconds")
        runs = [format_instant(slot) for slot in walked.slots]
        return {"runs": runs, "explain": explain(when), "warnings": said, "tzdata": tzdata_version()}

    async def presets(self, call: Call) -> Response:
        """GET /presets."""
        items = [{**preset._asdict(), "when": {"cron": preset.expression}} for preset in PRESETS]
        document = {"items": items, "next_cursor": None, "tzdata": tzdata_version()}
        return Response(answer_json(document), 200, media_type="application/json")

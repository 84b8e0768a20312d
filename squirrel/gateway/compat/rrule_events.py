"""The RRule seed's events: pending ones from the rule, archived ones from the history; pages by number, latest run first."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from squirrel.gateway.compat.exchange import ForeignCall, json_answer
from squirrel.gateway.compat.inner import Inner, rule_of
from squirrel.model.ids import run_id
from squirrel.model.instants import format_instant
from squirrel.model.schedule import Row, State
from squirrel.stores.history import Run

PAGE_LIMIT_DEFAULT: Final = 10
PAGE_LIMIT_MAX: Final = 1000
PAGE_MAX: Final = 1_000_000
EVENTS_DEEP_MAX: Final = 20_000  # further back a page is empty; the native list goes on with cursors
PENDING_SLOTS_MAX: Final = 20_000  # of a rule in its window: 5 hours of every second
_ENDED: Final = {"succeeded": "completed", "sent": "completed", "failed": "error", "missed": "error"}
_QUEUED: Final = ("ready_queue", "Event pre-queued for ready queue")
_DISPATCHED: Final = ("worker_queue", "Event dispatched to worker queue")

Event = dict[str, Any]


class RRuleEvents:
    """Handlers. `window_ms` is how far ahead pending events are listed."""

    def __init__(self, inner: Inner, window_ms: int) -> None:
        self._inner = inner
        self._window_ms = window_ms

    async def pending(self, call: ForeignCall) -> Response:
        """GET /api/schedules/{id}/events/pending."""
        located = await self._inner.find(call.namespace, call.path["id"])
        events = [] if located is None else self._pending(located.row)
        return _page(call, events)

    async def history(self, call: ForeignCall) -> Response:
        """GET /api/schedules/{id}/events/history; a deleted schedule's history stays."""
        limit, page = _limits(call)
        count = min(limit * page, EVENTS_DEEP_MAX)
        found = await self._inner.stored_runs(call.namespace, call.path["id"], count, _ENDED)
        return _page(call, [self._archived(run) for run in found])

    def _pending(self, row: Row) -> list[Event]:
        now_ms = self._inner.now_ms()
        events = [self._open(row, run.slot_ms, run.first_emitted_ms, run.id) for run in row.runs]
        slot_ms, end_ms = (row.slot_ms if row.state is State.ACTIVE else None), now_ms + self._window_ms
        rule = rule_of(row) if slot_ms is not None else None
        while slot_ms is not None and slot_ms < end_ms and len(events) < PENDING_SLOTS_MAX:
            events.append(self._open(row, slot_ms, 0, run_id(row.namespace, row.id, slot_ms)))
            slot_ms = None if rule is None else rule.next_after(slot_ms)
        return sorted(events, key=lambda event: str(event["run_time"]), reverse=True)

    def _open(self, row: Row, slot_ms: int, emitted_ms: int, name: str) -> Event:
        queued_ms = min(max(row.created_ms, slot_ms - self._window_ms), self._inner.now_ms())
        status = [_step(queued_ms, *_QUEUED)]
        if emitted_ms:
            status.append(_step(emitted_ms, *_DISPATCHED))
        return _event(name, row.id, slot_ms, queued_ms, status)

    def _archived(self, run: Run) -> Event:
        record = run.record
        attempt = run.attempts[0] if run.attempts else None
        finished_ms = record.finished_ms or record.due_ms
        queued_ms = min(record.slot_ms, finished_ms, finished_ms if attempt is None else attempt.emitted_ms)
        status = [_step(queued_ms, *_QUEUED)]
        if attempt is not None:
            status.append(_step(attempt.emitted_ms, *_DISPATCHED))
        if _ENDED[record.state] == "completed":
            status.append(_step(finished_ms, "completed", "Event successfully processed"))
        else:
            status.append(_step(finished_ms, "error", f"Callback failed after max retries: {record.reason}"))
        return _event(record.id, record.schedule_id, record.slot_ms, queued_ms, status)


def _event(name: str, schedule_id: str, slot_ms: int, created_ms: int, status: list[Event]) -> Event:
    return {
        "_id": name.removeprefix("run_")[:24],
        "created_at": format_instant(created_ms),
        "run_time": format_instant(slot_ms),
        "schedule_id": schedule_id,
        "status": status,
    }


def _step(time_ms: int, status: str, message: str) -> Event:
    return {"message": message, "status": status, "time": format_instant(time_ms)}


def _limits(call: ForeignCall) -> tuple[int, int]:
    return call.whole("limit", PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX), call.whole("page", 1, PAGE_MAX)


def _page(call: ForeignCall, events: list[Event]) -> Response:
    limit, page = _limits(call)
    start = (page - 1) * limit
    return json_answer({"events": events[start : start + limit], "limit": limit, "page": page})

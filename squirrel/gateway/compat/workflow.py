"""Workflow Scheduler: cron schedules with targets, policies and switches; shared/seeds/workflow-scheduler.md and wire.md 4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from squirrel.gateway.actor import named_actor
from squirrel.gateway.compat.exchange import Declined, ForeignCall, Seed, json_answer, text_answer
from squirrel.gateway.compat.inner import Inner, Who, rule_of
from squirrel.gateway.compat.workflow_body import Place, Sent, begun_again, read_sent, spec_of
from squirrel.gateway.compat.workflow_view import BY_HAND, execution_id, schedule_document
from squirrel.gateway.lookups import Located
from squirrel.model.ids import id_problem
from squirrel.model.instants import format_instant
from squirrel.model.schedule import Row, State
from squirrel.recurrence import upcoming
from squirrel.recurrence.zone import zone_named
from squirrel.wire.documents.json_text import Document

NEXT_RUNS_DEFAULT: Final = 5
NEXT_RUNS_MAX: Final = 1_000
ACTOR_CHARS_MAX: Final = 255
SHOWN_STATES: Final = ("active", "waiting", "paused", "failed")


def _error(_: int, text: str) -> dict[str, Any]:
    return {"error": text}


def _no_route() -> Response:
    return text_answer("404 page not found", 404)


def _no_method() -> Response:
    return Response(status_code=405)


SEED: Final = Seed("workflow", _error, _no_route, _no_method)


def no_schedule() -> Declined:
    """404."""
    return Declined(404, "Schedule not found")


def who(call: ForeignCall) -> Who:
    """`X-User` is the actor that the seed records."""
    actor = (call.header(b"x-user") or "workflow-scheduler")[:ACTOR_CHARS_MAX]
    return Who(call.namespace, actor)


class WorkflowApi:
    """Handlers; those with a `Located` are told by `compat/shared.py` which schedule it is."""

    def __init__(self, inner: Inner, place: Place) -> None:
        self._inner = inner
        self._place = place

    async def create(self, call: ForeignCall, document: Document) -> Response:
        """POST /api/schedules."""
        sent = read_sent(document)
        spec = spec_of(sent, None, self._place.of(call.namespace), self._inner.now_ms())
        schedule_id = sent.values.get("id") or str(UUID(hex=self._inner.new_hex(), version=4))
        if (reason := id_problem(schedule_id)) is not None:
            raise Declined(400, f"id {reason}")
        row = await self._inner.create(who(call), schedule_id, spec, paused=bool(sent.paused))
        return json_answer(schedule_document(row), 201)

    async def every(self, call: ForeignCall) -> Response:
        """GET /api/schedules: all of the namespace; the seed's command line filters by enabled, tag and status."""
        rows = await self._inner.rows(call.namespace, SHOWN_STATES)
        documents = [schedule_document(row) for row in rows]
        enabled, tag, status = call.query.get("enabled"), call.query.get("tag"), call.query.get("status")
        return json_answer(
            [
                each
                for each in documents
                if (not enabled or each["enabled"] is (enabled.lower() == "true"))
                and (not tag or tag in each.get("tags", ()))
                and (not status or each["status"] == status)
            ]
        )

    async def get(self, call: ForeignCall, located: Located) -> Response:
        """GET /api/schedules/{id}."""
        return json_answer(schedule_document(located.row))

    async def put(self, call: ForeignCall, located: Located, document: Document) -> Response:
        """PUT /api/schedules/{id}: what was sent replaces, the rest stays, as the seed's command line expects."""
        sent = read_sent(document)
        row = await self._changed(call, located, sent)
        return json_answer(schedule_document(row))

    async def delete(self, call: ForeignCall, located: Located) -> Response:
        """DELETE /api/schedules/{id}."""
        await self._inner.cancel(who(call), located)
        return json_answer({"result": "success"})

    async def enable(self, call: ForeignCall) -> Response:
        """POST /api/schedules/{id}/enable."""
        await self._changed(call, await self.find(call), Sent({"enabled": True, "status": "active"}, None))
        return json_answer({"enabled": True, "result": "success"})

    async def disable(self, call: ForeignCall) -> Response:
        """POST /api/schedules/{id}/disable."""
        await self._inner.verb(who(call), await self.find(call), "pause")
        return json_answer({"enabled": False, "result": "success"})

    async def trigger(self, call: ForeignCall) -> Response:
        """POST /api/schedules/{id}/trigger."""
        actor = named_actor(call.scope["headers"]) or BY_HAND
        run = await self._inner.trigger(Who(call.namespace, actor), await self.find(call))
        return json_answer(
            {"execution_id": execution_id(run), "message": "Schedule triggered successfully", "result": "success"}
        )

    async def next_runs(self, call: ForeignCall) -> Response:
        """GET /api/schedules/{id}/next-runs: in the schedule's zone."""
        row = (await self.find(call)).row
        count = call.whole("count", NEXT_RUNS_DEFAULT, NEXT_RUNS_MAX)
        slots = _slots(row, self._inner.now_ms(), count)
        write = local_writer(row.spec.when.timezone or "UTC")
        return json_answer({"next_runs": [write(slot_ms) for slot_ms in slots], "schedule_id": row.id})

    async def find(self, call: ForeignCall) -> Located:
        """The schedule of the path. Raises Declined 404."""
        located = await self._inner.find(call.namespace, call.path["id"])
        if located is None:
            raise no_schedule()
        return located

    async def _changed(self, call: ForeignCall, located: Located, sent: Sent) -> Row:
        now_ms = self._inner.now_ms()
        spec = spec_of(sent, located.row.spec, self._place.of(call.namespace), now_ms)
        if sent.paused is False and located.row.state is State.PAUSED:
            spec = begun_again(spec, now_ms)
        return await self._inner.update(who(call), located, spec, paused=sent.paused)


def _slots(row: Row, now_ms: int, count: int) -> list[int]:
    rule = rule_of(row)
    return upcoming(rule, now_ms, count) if rule is not None else [] if row.slot_ms is None else [row.slot_ms]


def local_writer(timezone: str) -> Callable[[int], str]:
    """Epoch milliseconds -> `2026-11-23T09:00:00-05:00` in a zone, `Z` in UTC."""
    zone = zone_named(timezone, "timezone")

    def write(instant_ms: int) -> str:
        utc_s = instant_ms // 1000
        offset_s = zone.offset(utc_s)
        text = format_instant((utc_s + offset_s) * 1000)[:19]
        if offset_s == 0:
            return f"{text}Z"
        hours, minutes = divmod(abs(offset_s) // 60, 60)
        return f"{text}{'-' if offset_s < 0 else '+'}{hours:02d}:{minutes:02d}"

    return write

"""The Workflow seed's executions, metrics and dashboard, out of the history and what the schedules know of now."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.responses import Response

from squirrel.gateway.compat.exchange import Declined, ForeignCall, json_answer
from squirrel.gateway.compat.inner import Inner
from squirrel.gateway.compat.workflow import SHOWN_STATES, who
from squirrel.gateway.compat.workflow_view import execution_document, execution_id, run_of
from squirrel.gateway.listing import list_rows
from squirrel.gateway.lookups import Located
from squirrel.gateway.run_view import open_run_document, run_document
from squirrel.gateway.runs import CATCH_UP_LOOKS, CATCH_UP_MS
from squirrel.model.instants import format_instant, format_instant_or_none
from squirrel.model.schedule import RUN_FINAL, Row, State
from squirrel.stores.history import RunFilter
from squirrel.wire.owner_link import ListRows

EXECUTIONS_MAX: Final = 100
SCHEDULE_EXECUTIONS_DEFAULT: Final = 50
SCHEDULE_EXECUTIONS_MAX: Final = 1_000
OPEN_ROWS_LOOKED_AT_MAX: Final = 200  # newest live schedules whose open runs lead the list of all executions
FAILURE_POINTS: Final = 10  # that each failure in a row takes from the health score
HEALTHY: Final = 100
_SUCCEEDED: Final = frozenset({"succeeded", "sent"})
_FAILED: Final = frozenset({"failed"})
_ENDED: Final = frozenset(str(state) for state in RUN_FINAL)


class WorkflowRuns:
    """Handlers."""

    def __init__(self, inner: Inner) -> None:
        self._inner = inner

    async def of_schedule(self, call: ForeignCall) -> Response:
        """GET /api/schedules/{id}/executions; none for an id that nobody knows."""
        located = await self._inner.find(call.namespace, call.path["id"])
        count = call.whole("limit", SCHEDULE_EXECUTIONS_DEFAULT, SCHEDULE_EXECUTIONS_MAX)
        row = None if located is None else located.row
        runs = await self._inner.runs(call.namespace, call.path["id"], row, count)
        documents = [execution_document(run) for run in runs]
        wanted = call.query.get("status")
        documents = [each for each in documents if not wanted or each["status"] == wanted]
        return json_answer(_newest_first(documents))

    async def every(self, call: ForeignCall) -> Response:
        """GET /api/executions."""
        limit = call.whole("limit", EXECUTIONS_MAX, EXECUTIONS_MAX)
        listed, page = await asyncio.gather(
            list_rows(
                self._inner.parts.link,
                ListRows(call.namespace, states=SHOWN_STATES, limit=OPEN_ROWS_LOOKED_AT_MAX),
                None,
            ),
            self._inner.history.runs(call.namespace, RunFilter(), limit),
        )
        rows = {row.id: row for row in listed.rows}
        strangers = {run.record.schedule_id for run in page.items} - set(rows)
        for located in await asyncio.gather(*(self._inner.find(call.namespace, each) for each in sorted(strangers))):
            if located is not None:
                rows[located.row.id] = located.row
        known = {run.record.id for run in page.items}
        found = [open_run_document(run, row) for row in rows.values() for run in row.runs if run.id not in known]
        found += [
            document
            for run in page.items
            if (document := run_document(run.record.id, run, rows.get(run.record.schedule_id)))
        ]
        documents = [_named(execution_document(run), rows) for run in found]
        return json_answer(_newest_first(documents)[:limit])

    async def get(self, call: ForeignCall) -> Response:
        """GET /api/executions/{id}."""
        return json_answer(execution_document(await self._run(call)))

    async def retry(self, call: ForeignCall) -> Response:
        """POST /api/executions/{id}/retry: a new execution; the old one is kept."""
        run = await self._run(call)
        located = await self._inner.find(call.namespace, run["schedule_id"])
        if located is None:
            raise Declined(404, "Schedule not found")
        new = await self._inner.trigger(who(call), located, replay_of=run["id"])
        return json_answer({"execution_id": execution_id(new), "result": "success"})

    async def metrics(self, call: ForeignCall) -> Response:
        """GET /api/schedules/{id}/metrics, over all runs that the history keeps; `summary` says how many, and the error."""
        namespace, schedule_id = call.namespace, call.path["id"]
        history = self._inner.history
        located = await self._inner.find(namespace, schedule_id)
        await self._caught_up(located)
        summary, good, bad = await asyncio.gather(
            history.summary(namespace, schedule_id),
            self._inner.stored_runs(namespace, schedule_id, 1, _SUCCEEDED),
            self._inner.stored_runs(namespace, schedule_id, 1, _FAILED),
        )
        in_a_row = 0 if located is None else located.row.failures_in_a_row
        rate = success_rate(summary.succeeded, summary.failed)
        metrics: dict[str, Any] = {
            "schedule_id": schedule_id,
            "total_executions": summary.succeeded + summary.failed + summary.other,
            "success_count": summary.succeeded,
            "failure_count": summary.failed,
            "success_rate": 0.0 if rate is None else rate,
            "avg_duration_ms": round(summary.duration_ms_avg or 0),
            "min_duration_ms": summary.duration_ms_min or 0,
            "max_duration_ms": summary.duration_ms_max or 0,
            "p95_duration_ms": summary.duration_ms_p95 or 0,
            "p99_duration_ms": summary.duration_ms_p99 or 0,
            "health_score": health_score(rate, in_a_row),
            "consecutive_failures": in_a_row,
            "summary": {
                "complete": summary.complete,
                "since": format_instant_or_none(summary.oldest_slot_ms),
                "percentile_error": summary.percentile_error,
            },
        }
        for name, runs in (("last_success_at", good), ("last_failure_at", bad)):
            if runs and runs[0].record.finished_ms is not None:
                metrics[name] = format_instant(runs[0].record.finished_ms)
        return json_answer(metrics)

    async def _caught_up(self, located: Located | None) -> None:
        """Wait, half a second at most, until the history has seen the end of a run that ended a moment ago."""
        last = None if located is None else located.row.last
        if located is None or last is None:
            return
        row = located.row
        for _ in range(CATCH_UP_LOOKS):
            if self._inner.now_ms() - last.finished_ms > CATCH_UP_MS:
                return
            newest = await self._inner.stored_runs(row.namespace, row.id, 1, _ENDED)
            if newest and newest[0].record.id == last.id:
                return
            await asyncio.sleep(CATCH_UP_MS / CATCH_UP_LOOKS / 1000)

    async def dashboard(self, call: ForeignCall) -> Response:
        """GET /api/dashboard/stats; executions are those that the history counts in bounded work."""
        rows, counts = await asyncio.gather(
            self._inner.rows(call.namespace, SHOWN_STATES), self._inner.history.counts(call.namespace)
        )
        succeeded = sum(counts.by_state.get(state, 0) for state in _SUCCEEDED)
        failed = counts.by_state.get("failed", 0)
        return json_answer(
            {
                "total_schedules": len(rows),
                "active_schedules": sum(row.state in (State.ACTIVE, State.WAITING) for row in rows),
                "total_executions": sum(counts.by_state.values()),
                "successful_executions": succeeded,
                "failed_executions": failed,
                "avg_success_rate": success_rate(succeeded, failed) or 0.0,
            }
        )

    async def _run(self, call: ForeignCall) -> dict[str, Any]:
        run = await self._inner.run(call.namespace, run_of(call.path["id"]))
        if run is None:
            raise Declined(404, "Execution not found")
        return run


def success_rate(succeeded: int, failed: int) -> float | None:
    """Percent with one decimal; None without any."""
    return round(succeeded * 100 / (succeeded + failed), 1) if succeeded + failed else None


def health_score(rate: float | None, failures_in_a_row: int) -> int:
    """The success rate less FAILURE_POINTS for each failure in a row, 0 to 100; without runs a schedule is healthy."""
    if rate is None:
        return HEALTHY
    return max(0, round(rate) - FAILURE_POINTS * failures_in_a_row)


def _named(document: dict[str, Any], rows: dict[str, Row]) -> dict[str, Any]:
    row = rows.get(document["schedule_id"])
    return {**document, "schedule_name": "" if row is None else row.spec.name}


def _newest_first(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(documents, key=lambda each: str(each["scheduled_time"]), reverse=True)

"""The calls on workflow runs: listed, shown with every step, paused, resumed, cancelled, retried, and steps skipped."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.listing import list_rows
from squirrel.gateway.outcomes import problem_of
from squirrel.gateway.problems import Answered, invalid
from squirrel.gateway.schedules import LISTED_STATES, Parts
from squirrel.gateway.workflow_view import (
    RUN_PHASES,
    phase_of,
    run_answer,
    run_document,
    run_summary,
    waiting_schedules,
)
from squirrel.gateway.writes import Order
from squirrel.model.errors import Refused
from squirrel.model.ids import id_problem
from squirrel.model.limits import REQUEST_BYTES_MAX
from squirrel.model.schedule import Row, decode_row
from squirrel.model.workflow import RUN_TAG
from squirrel.wire import owner_link as codes
from squirrel.wire.documents import answer_json, read_document
from squirrel.wire.documents.json_text import visible
from squirrel.wire.documents.names import entries_of, spellings
from squirrel.wire.documents.values import Problems, read_text
from squirrel.wire.documents.workflow import workflow_name_problem
from squirrel.wire.owner_link import Found, Get, ListRows
from squirrel.wire.records import Command

_STEP_NAMES: Final = spellings(("step",))


class WorkflowRuns:
    """Handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def list(self, call: Call) -> Response:
        """GET /workflow-runs: newest first, those that are over too until their retention ends."""
        name, phase = call.query.get("workflow"), call.choice("state", RUN_PHASES)
        if name is not None and (reason := workflow_name_problem(name)) is not None:
            raise invalid("workflow", reason)
        where = ListRows(
            namespace=call.namespace,
            states=LISTED_STATES,
            tag=RUN_TAG if name is None else f"workflow:{name}",
            limit=call.limit,
        )
        listed = await list_rows(self._parts.link, where, call.query.get("cursor"))
        runs = [row for row in listed.rows if row.workflow is not None]
        items = [run_summary(row) for row in runs if phase in (None, phase_of(row))]
        page: dict[str, Any] = {"items": items, "next_cursor": listed.cursor}
        return Response(answer_json(page), 200, media_type="application/json")

    async def get(self, call: Call) -> Response:
        """GET /workflow-runs/{id}."""
        row, partition = await self._find(call)
        ids = waiting_schedules(row)
        waiting: dict[str, Row] = {}
        if ids:
            asks = [Get(partition, call.namespace, each) for each in ids]
            answers = await self._parts.link.ask_many(partition, asks)
            for schedule_id, found in zip(ids, answers, strict=True):
                if isinstance(found, Found) and found.row is not None:
                    waiting[schedule_id] = decode_row(found.row)
        return Response(answer_json(run_document(row, waiting)), 200, media_type="application/json")

    async def pause(self, call: Call) -> Response:
        """POST /workflow-runs/{id}:pause."""
        return await self._verb(call, "pause")

    async def resume(self, call: Call) -> Response:
        """POST /workflow-runs/{id}:resume."""
        return await self._verb(call, "resume")

    async def cancel(self, call: Call) -> Response:
        """POST /workflow-runs/{id}:cancel."""
        return await self._verb(call, "cancel")

    async def retry(self, call: Call) -> Response:
        """POST /workflow-runs/{id}:retry: from a step that failed, or from all of them."""
        return await self._verb(call, "retry", _step(call.body))

    async def skip(self, call: Call) -> Response:
        """POST /workflow-runs/{id}:skip: the step counts as done."""
        step = _step(call.body)
        if not step:
            raise invalid("step", "is missing; name the step to skip")
        return await self._verb(call, "skip", step)

    async def _verb(self, call: Call, verb: str, step: str = "") -> Response:
        parts = self._parts
        row, partition = await self._find(call)
        command = Command(
            op="workflow",
            namespace=call.namespace,
            id=row.id,
            command_id=parts.new_id(),
            accepted_ms=parts.clock.now_ms(),
            reply=True,
            actor="rest",
            on=verb,
            child=step,
        )
        decided = await parts.writes.send(Order(command, partition), wait=not call.respond_async)
        if decided is None or decided.row is None:
            location = f"/api/v1/workflow-runs/{row.id}"
            accepted = {"id": row.id, "accepted": True, "location": location}
            return Response(answer_json(accepted), 202, {"Location": location}, "application/json")
        if decided.code == codes.REFUSED and decided.field == "run":
            raise Answered("too_late", f"{row.id} {decided.detail}")
        if decided.code != codes.CHANGED:
            raise problem_of(row.id, decided)
        return run_answer(decode_row(decided.row))

    async def _find(self, call: Call) -> tuple[Row, int]:
        """The coordinator and its partition; its group is itself, so nothing but its own partition is asked."""
        run_id = call.path["id"]
        if id_problem(run_id) is None:
            located = await self._parts.lookups.find(call.namespace, run_id)
            if located is not None and located.row.workflow is not None:
                return located.row, located.partition
        raise Answered("not_found", f"there is no workflow run {visible(run_id)}; it may have left its retention")


def _step(body: bytes) -> str:
    if not body:
        return ""
    document = read_document(body, REQUEST_BYTES_MAX)
    problems: Problems = []
    entries = entries_of(document.values, _STEP_NAMES, "", problems)
    step = ""
    if "step" in entries and entries["step"][1] is not None:
        step = read_text(*entries["step"], problems, 63) or ""
    if problems:
        raise Refused("invalid", problems)
    return step

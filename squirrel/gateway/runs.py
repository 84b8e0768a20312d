"""The calls on runs: the history's word, corrected by what the schedules' rows know of now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from squirrel.gateway.actor import actor_of
from squirrel.gateway.call import Call
from squirrel.gateway.cursors import from_history, to_history
from squirrel.gateway.lookups import Located, Lookups
from squirrel.gateway.outcomes import answer
from squirrel.gateway.owner_link import OwnerLink
from squirrel.gateway.problems import Answered
from squirrel.gateway.replay_body import read_replay
from squirrel.gateway.replays import ReplayOrder, Replays
from squirrel.gateway.run_search import read_run_filter
from squirrel.gateway.run_view import (
    is_final,
    open_run_document,
    run_document,
    run_from_last,
)
from squirrel.model.clock import Clock
from squirrel.model.errors import Problem, Refused, Unavailable
from squirrel.model.schedule import RUN_FINAL, Row, RunState, decode_row
from squirrel.stores.history import History, Run, RunFilter, RunPage
from squirrel.wire.documents import TargetPolicy, answer_json
from squirrel.wire.owner_link import ListRows, Page

_OPEN_STATES: Final = frozenset(str(state) for state in RunState if state not in RUN_FINAL)
OPEN_ROWS_LOOKED_AT_MAX: Final = 200  # newest live schedules whose open runs lead the list of all runs
CATCH_UP_MS: Final = 500
CATCH_UP_LOOKS: Final = 10
UNKNOWN_LOOKS_MS: Final = (20, 80, 400)  # a run that nobody knows is looked for again after these
RUN_ID_CHARS_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class RunParts:
    """What the calls on runs share."""

    clock: Clock
    new_id: Callable[[], str]
    history: History
    link: OwnerLink
    lookups: Lookups
    replays: Replays
    targets: TargetPolicy


class Runs:
    """Handlers; each gives the answer or raises what becomes a problem document."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts

    async def of_schedule(self, call: Call) -> Response:
        """GET /schedules/{id}/runs: newest first; a run that the history has not seen leads the first page."""
        schedule_id, cursor = call.schedule_id, call.query.get("cursor")
        page, located = await asyncio.gather(
            self._parts.history.runs_of(call.namespace, schedule_id, call.limit, to_history(cursor)),
            self._find(call.namespace, schedule_id),
        )
        if located is None and not page.items and cursor is None:
            await self._parts.lookups.get(call.namespace, schedule_id)  # 404, or 503 when that cannot be known
        row = None if located is None else located.row
        if row is not None and cursor is None:
            page = await self._caught_up(row, page, call.limit)
        items = _only_in_row(row, page.items) if row is not None and cursor is None else []
        items += [document for run in page.items if (document := run_document(run.record.id, run, row))]
        return page_of(items, page.next_cursor)

    async def _caught_up(self, row: Row, page: RunPage, limit: int) -> RunPage:
        """The page once it holds the attempts of a run that ended a moment ago: the recorder writes some milliseconds behind.

        Bounded: a history that is away or behind costs this call half a second, and only while the run is young.
        """
        last = row.last
        for _ in range(CATCH_UP_LOOKS):
            if last is None or not last.attempts or self._parts.clock.now_ms() - last.finished_ms > CATCH_UP_MS:
                break
            known = next((len(run.attempts) for run in page.items if run.record.id == last.id), 0)
            if known >= last.attempts:
                break
            await asyncio.sleep(CATCH_UP_MS / CATCH_UP_LOOKS / 1000)
            page = await self._parts.history.runs_of(row.namespace, row.id, limit, None)
        return page

    async def all(self, call: Call) -> Response:
        """GET /runs."""
        problems: list[Problem] = []
        where = read_run_filter(call.query, problems)
        if problems:
            raise Refused("invalid", problems)
        cursor = call.query.get("cursor")
        page = await self._parts.history.runs(call.namespace, where, call.limit, to_history(cursor))
        known = {run.record.id for run in page.items}
        rows = await self._rows_of(call.namespace, [run for run in page.items if not is_final(run)])
        seen = (run_document(run.record.id, run, rows.get(run.record.schedule_id)) for run in page.items)
        items = [each for each in seen if each is not None]
        if cursor is None and (where.state is None or where.state in _OPEN_STATES):
            items = [each for each in await self._open_runs(call, where) if each["id"] not in known] + items
        shown = [each for each in items if where.state in (None, each["state"])]
        return page_of(shown, page.next_cursor)

    async def get(self, call: Call) -> Response:
        """GET /runs/{run}. A completion names its run before the recorder has written it: 404 waits for that."""
        run_id = run_id_of(call)
        document = await self._document(call.namespace, run_id)
        for wait_ms in UNKNOWN_LOOKS_MS:
            if document is not None:
                break
            await asyncio.sleep(wait_ms / 1000)
            document = await self._document(call.namespace, run_id)
        if document is None:
            raise no_run(run_id)
        return Response(answer_json(document), 200, media_type="application/json")

    async def replay(self, call: Call) -> Response:
        """POST /runs/{run}:replay: a new run that names this one."""
        parts, run_id = self._parts, run_id_of(call)
        message, target = read_replay(call.body, parts.targets.of(call.namespace))
        run = await parts.history.run(call.namespace, run_id)
        row = None if run is not None else await parts.lookups.of_run(call.namespace, run_id)
        if run is None and row is None:
            raise no_run(run_id)
        schedule_id = run.record.schedule_id if run is not None else row.id if row is not None else ""
        order = ReplayOrder(
            namespace=call.namespace,
            schedule_id=schedule_id,
            run=run_id,
            command_id=parts.new_id(),
            accepted_ms=parts.clock.now_ms(),
            message=message,
            target=target,
        )
        actor = actor_of(call.scope["headers"])
        replayed = await parts.replays.send(order, wait=not call.respond_async, by=actor)
        return answer(schedule_id, replayed.decided)

    async def _document(self, namespace: str, run_id: str) -> dict[str, Any] | None:
        run = await self._parts.history.run(namespace, run_id)
        if is_final(run):
            return run_document(run_id, run, None)
        if run is not None:
            located = await self._find(namespace, run.record.schedule_id)
            return run_document(run_id, run, None if located is None else located.row)
        return run_document(run_id, None, await self._parts.lookups.of_run(namespace, run_id))

    async def _find(self, namespace: str, schedule_id: str) -> Located | None:
        """The schedule; None too when its owner is away: the history alone still answers."""
        try:
            return await self._parts.lookups.find(namespace, schedule_id)
        except Unavailable:
            return None

    async def _rows_of(self, namespace: str, runs: list[Run]) -> dict[str, Row]:
        """The rows of the runs that are not over, by schedule."""
        ids = sorted({run.record.schedule_id for run in runs})
        found = await asyncio.gather(*(self._find(namespace, each) for each in ids))
        return {located.row.id: located.row for located in found if located is not None}

    async def _open_runs(self, call: Call, where: RunFilter) -> list[dict[str, Any]]:
        """Runs that no attempt has finished yet, of the newest live schedules. They have no answer that could be asked for."""
        if where.host is not None or where.status is not None or where.q is not None:
            return []
        limit = min(call.limit, OPEN_ROWS_LOOKED_AT_MAX)
        ask = ListRows(call.namespace, event=where.event or "", tag=where.tag or "", limit=limit)
        try:
            answers = await self._parts.link.ask_all(ask)
        except Unavailable:
            return []
        rows = [decode_row(value) for page in answers if isinstance(page, Page) for _, value in page.rows]
        found = [
            (run.slot_ms, open_run_document(run, row))
            for row in rows
            if where.schedule in (None, row.id)
            for run in row.runs
            if (where.from_ms is None or run.slot_ms >= where.from_ms)
            and (where.to_ms is None or run.slot_ms < where.to_ms)
        ]
        found.sort(key=lambda each: each[0], reverse=True)
        return [document for _, document in found[: call.limit]]


def _only_in_row(row: Row, items: tuple[Run, ...]) -> list[dict[str, Any]]:
    known = {run.record.id for run in items}
    found = [open_run_document(run, row) for run in reversed(row.runs) if run.id not in known]
    if row.last is not None and row.last.id not in known:
        found.append(run_from_last(row.last, row))
    return found


def page_of(items: list[dict[str, Any]], cursor: str | None) -> Response:
    """A page of the history's."""
    return Response(
        answer_json({"items": items, "next_cursor": from_history(cursor)}), 200, media_type="application/json"
    )


def run_id_of(call: Call) -> str:
    """The run in the path. Raises Answered 404 for what cannot be one."""
    run_id = call.path["run"]
    if len(run_id) > RUN_ID_CHARS_MAX or not run_id.isprintable():
        raise Answered("not_found", "no run can have this id")
    return run_id


def no_run(run_id: str) -> Answered:
    """404 for a run."""
    return Answered(
        "not_found", f"there is no run {run_id} in this namespace; it may have left its schedule's retention"
    )

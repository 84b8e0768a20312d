"""One change to many schedules: found page by page, changed a few at a time, counted; polled as an operation.

An operation lives in this gateway's memory: when the process ends so does the operation, and what it did stays done. Every
change is one that can be repeated, so sending the same request again finishes the work.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from squirrel.gateway.audit_notes import OPERATION
from squirrel.gateway.bulk_body import Bulk, parse_bulk
from squirrel.gateway.call import Call
from squirrel.gateway.listing import list_rows
from squirrel.gateway.outcomes import DONE
from squirrel.gateway.problems import Answered
from squirrel.gateway.schedules import Parts
from squirrel.gateway.writes import Order
from squirrel.model.errors import Unavailable
from squirrel.model.instants import format_instant, format_instant_or_none
from squirrel.model.limits import INSTANT_MS_MAX, TAGS_MAX
from squirrel.model.schedule import Row, Spec
from squirrel.wire.documents import answer_json
from squirrel.wire.owner_link import NOT_FOUND, TOO_LATE, Decided, ListRows
from squirrel.wire.records import Command, Op

OPERATIONS_KEPT_MAX: Final = 200  # running ones and the newest finished ones
OPERATIONS_RUNNING_MAX: Final = 8  # beyond it callers hear 503
CHANGES_AT_ONCE_MAX: Final = 64  # under way for one operation, so that others' calls go on
PAGE_ITEMS: Final = 500  # held by one operation, whatever it matches: a page is changed before the next one is read
ERRORS_KEPT_MAX: Final = 20  # examples; the rest is counted
LOCATION: Final = "/api/v1/operations/"
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Running:
    """An operation's state, as GET shows it."""

    id: str
    namespace: str
    action: str
    dry_run: bool
    began_ms: int
    state: str = "running"  # running, succeeded, failed (it could not go on; see `reason`)
    matched: int = 0  # found so far: it grows while the operation runs
    done: int = 0
    failed: int = 0
    skipped: int = 0
    finished_ms: int | None = None
    reason: str = ""
    errors: list[dict[str, str]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """{"operation": {...}}."""
        shown: dict[str, Any] = {
            "id": self.id, "state": self.state, "action": self.action, "dry_run": self.dry_run, "matched": self.matched,
            "done": self.done, "failed": self.failed, "skipped": self.skipped, "errors": self.errors,
            "began_at": format_instant(self.began_ms), "finished_at": format_instant_or_none(self.finished_ms),
            "kept": "in this gateway's memory: it ends with the process, what is done stays done",
        }  # fmt: skip
        return {"operation": {**shown, "reason": self.reason} if self.reason else shown}

    def note(self, schedule_id: str, outcome: str, reason: str) -> None:
        """Counts one schedule: done, failed or skipped."""
        setattr(self, outcome, getattr(self, outcome) + 1)
        if outcome != "done" and len(self.errors) < ERRORS_KEPT_MAX:
            self.errors.append({"id": schedule_id, "outcome": outcome, "reason": reason})


class BulkOperations:
    """Handlers, and the operations under way. `close` ends those."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._kept: OrderedDict[str, Running] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, call: Call) -> Response:
        """POST /schedules:bulk: 202; with `dry_run` 200 and what would be changed."""
        bulk = parse_bulk(call.body)
        if len(self._tasks) >= OPERATIONS_RUNNING_MAX:
            raise Unavailable(
                f"{OPERATIONS_RUNNING_MAX} operations are under way here, which is the limit; send again", 5
            )
        parts = self._parts
        running = Running(parts.new_id(), call.namespace, bulk.action, bulk.dry_run, parts.clock.now_ms())
        if bulk.dry_run:
            call.scope.pop(OPERATION, None)  # nothing is changed
            await self._run(running, bulk)
            if running.state == "failed":
                raise Unavailable(running.reason, 1)
            return Response(answer_json(running.document()), 200, media_type="application/json")
        self._keep(running)
        task = asyncio.get_running_loop().create_task(self._run(running, bulk), name=f"bulk-{running.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        headers = {"Location": LOCATION + running.id}
        return Response(answer_json(running.document()), 202, headers, "application/json")

    async def get(self, call: Call) -> Response:
        """GET /operations/{operation}."""
        running = self._kept.get(call.path["operation"])
        if running is None or running.namespace != call.namespace:
            raise Answered("not_found", "there is no such operation here; it ended with its gateway, or long ago")
        return Response(answer_json(running.document()), 200, media_type="application/json")

    async def close(self) -> None:
        """Operations under way stop between two changes."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _keep(self, running: Running) -> None:
        self._kept[running.id] = running
        finished = [each.id for each in self._kept.values() if each.state != "running"]
        for each in finished[: max(0, len(self._kept) - OPERATIONS_KEPT_MAX)]:
            del self._kept[each]

    async def _run(self, running: Running, bulk: Bulk) -> None:
        try:
            cursor = await self._page(running, bulk, None)
            while cursor is not None:
                cursor = await self._page(running, bulk, cursor)
            running.state = "succeeded"
        except Unavailable as error:
            running.state, running.reason = "failed", str(error)
        except asyncio.CancelledError:
            running.state, running.reason = "failed", "the gateway is stopping"
            raise
        except Exception:
            log.exception("a bulk operation failed")
            running.state, running.reason = "failed", "the fault is ours and is in the gateway's log"
        finally:
            running.finished_ms = self._parts.clock.now_ms()

    async def _page(self, running: Running, bulk: Bulk, cursor: str | None) -> str | None:
        """Changes one page of what matches; where the next begins, None after the last one.

        Lists are ordered by when schedules were made, newest first, and no change touches that. So what a page's changes move
        from one list to another stays behind the cursor, what is made meanwhile stands before it, and nothing comes twice.
        """
        where = bulk.where
        ask = ListRows(
            running.namespace, where.states, where.event, where.index_tag, where.q, limit=PAGE_ITEMS
        )  # fmt: skip
        listed = await list_rows(self._parts.link, ask, cursor)
        if listed.cut:
            raise Unavailable("the filter matched too little of too much; narrow it by event or tag", 1)
        ids = list(dict.fromkeys(row.id for row in listed.rows if where.also(row)))
        running.matched += len(ids)
        for start in range(0, 0 if bulk.dry_run else len(ids), CHANGES_AT_ONCE_MAX):
            await asyncio.gather(
                *(self._change(running, bulk, each) for each in ids[start : start + CHANGES_AT_ONCE_MAX])
            )
        return listed.cursor

    async def _change(self, running: Running, bulk: Bulk, schedule_id: str) -> None:
        try:
            outcome, reason = await self._outcome(running, bulk, schedule_id)
        except Unavailable as error:
            outcome, reason = "failed", str(error)
        running.note(schedule_id, outcome, reason)

    async def _outcome(self, running: Running, bulk: Bulk, schedule_id: str) -> tuple[str, str]:
        """(done, failed or skipped; why)."""
        located = await self._parts.lookups.find(running.namespace, schedule_id)
        if located is None:
            return "skipped", "it is gone"
        command: Command | str
        if bulk.action in ("pause", "resume", "cancel"):
            command = self._command(running, schedule_id, bulk.action)  # type: ignore[arg-type]
        else:
            command = self._update(running, bulk, located.row)
        if isinstance(command, str):
            return "skipped", command
        return _outcome_of(await self._parts.writes.send(Order(command, located.partition)))

    def _update(self, running: Running, bulk: Bulk, row: Row) -> Command | str:
        spec = _tagged(row.spec, bulk.tags) if bulk.action == "tag" else _shifted(row, round(bulk.seconds * 1000))
        if isinstance(spec, str):
            return spec
        command = self._command(running, row.id, "update")
        force = "next" if bulk.action == "tag" else ""  # a tag changes nothing about the run that is under way
        return msgspec.structs.replace(command, spec=spec, if_revision=row.revision, force=force)

    def _command(self, running: Running, schedule_id: str, op: Op) -> Command:
        parts = self._parts
        return Command(
            op=op,
            namespace=running.namespace,
            id=schedule_id,
            command_id=parts.new_id(),
            accepted_ms=parts.clock.now_ms(),
            reply=True,
            actor="bulk",
        )


def _outcome_of(decided: Decided | None) -> tuple[str, str]:
    if decided is None:
        return "done", ""  # stored in Kafka; only the news of it is late
    if decided.code in DONE:
        return "done", ""
    if decided.code in (TOO_LATE, NOT_FOUND):
        return "skipped", decided.detail or decided.code
    return "failed", decided.detail or decided.code


def _tagged(spec: Spec, tags: tuple[str, ...]) -> Spec | str:
    united = tuple(dict.fromkeys((*spec.tags, *tags)))
    if united == spec.tags:
        return "it has these tags"
    if len(united) > TAGS_MAX:
        return f"it would have {len(united)} tags, the limit is {TAGS_MAX}"
    return replace(spec, tags=united)


def _shifted(row: Row, shift_ms: int) -> Spec | str:
    """A one-shot moves; a rule is said in wall times and bounds of its own, which only its owner can move."""
    when = row.spec.when
    at_ms = when.at_ms
    if at_ms is None and when.in_seconds is not None:
        at_ms = row.rule_ms + round(when.in_seconds * 1000)
    if at_ms is None:
        return "it has a rule and no instant; change its when"
    if not 0 <= at_ms + shift_ms <= INSTANT_MS_MAX:
        return "it would leave the years 1970 to 9999"
    return replace(row.spec, when=replace(when, at_ms=at_ms + shift_ms, in_seconds=None))

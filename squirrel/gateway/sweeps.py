"""Operations on many runs or dead letters: begun, counted, polled, cancelled; and each worked on by exactly one gateway.

They live on the operations topic. A gateway that ends hands its operations over; one that is killed is missed after
TAKEOVER_SECONDS, and another, or itself after its restart, goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from msgspec.structs import replace
from starlette.responses import Response

from squirrel.gateway.actor import actor_of
from squirrel.gateway.audit_notes import OPERATION
from squirrel.gateway.bulk import LOCATION, BulkOperations
from squirrel.gateway.call import Call
from squirrel.gateway.problems import Answered
from squirrel.gateway.sweep_body import Action, Asked, Source, parse_sweep
from squirrel.gateway.sweep_items import SweepParts
from squirrel.gateway.sweep_log import SweepLog
from squirrel.gateway.sweep_work import COUNT_ITEMS_MAX, SweepWork, count
from squirrel.model.errors import Unavailable
from squirrel.model.instants import format_instant, format_instant_or_none
from squirrel.wire.documents import answer_json
from squirrel.wire.operations import StoredOperation

RUNNING_MAX: Final = 8  # in one namespace; beyond it callers hear 503
FOLLOW_SECONDS: Final = 0.5  # between two looks at who works on what
TAKEOVER_SECONDS: Final = 12.0  # without a sign of life; four of those signs
LISTED_MAX: Final = 200
CLOSE_SECONDS_MAX: Final = 2.0  # for the last records of what is handed over
log = logging.getLogger(__name__)


class Sweeps:
    """Handlers, and the operations that this gateway works on. `close` hands those over."""

    def __init__(self, parts: SweepParts, kept: SweepLog | None, bulk: BulkOperations) -> None:
        self._parts = parts
        self._kept = kept
        self._bulk = bulk
        self._works: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[str, tuple[int, float]] = {}  # id -> (beats, since when they stand there)
        self._follower: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Looks after operations from now on."""
        if self._kept is not None:
            self._follower = asyncio.get_running_loop().create_task(self._follow(), name="operations")

    async def close(self) -> None:
        """Ends what is under way here, between two changes."""
        tasks = [task for task in (self._follower, *self._works.values()) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS_MAX)

    async def replay_runs(self, call: Call) -> Response:
        """POST /runs:replay."""
        return await self._begin(call, "replay", "runs")

    async def replay_letters(self, call: Call) -> Response:
        """POST /dead-letters:replay."""
        return await self._begin(call, "replay", "dead-letters")

    async def discard_letters(self, call: Call) -> Response:
        """POST /dead-letters:discard."""
        return await self._begin(call, "discard", "dead-letters")

    async def list(self, call: Call) -> Response:
        """GET /operations."""
        found = [] if self._kept is None else [each for each in self._kept.all() if each.namespace == call.namespace]
        found.sort(key=lambda each: (each.began_ms, each.id), reverse=True)
        items = [self._document(each)["operation"] for each in found[:LISTED_MAX]]
        return _json({"items": items, "next_cursor": None})

    async def get(self, call: Call) -> Response:
        """GET /operations/{operation}."""
        operation = self._of(call)
        return await self._bulk.get(call) if operation is None else _json(self._document(operation))

    async def cancel(self, call: Call) -> Response:
        """POST /operations/{operation}:cancel: what is done stays done. `cancelling` until its gateway has heard of it."""
        operation = self._of(call)
        if operation is None or self._kept is None:
            raise Answered("not_found", "there is no such operation; those of schedules:bulk end with their gateway")
        if operation.state == "running":
            await self._kept.ask_cancel(operation)
        return _json(self._document(operation))

    def _document(self, operation: StoredOperation) -> dict[str, Any]:
        document = document_of(operation)
        if operation.state == "running" and self._kept is not None and self._kept.is_cancelled(operation):
            document["operation"]["state"] = "cancelling"
        return document

    def _of(self, call: Call) -> StoredOperation | None:
        return None if self._kept is None else self._kept.get(call.namespace, call.path["operation"])

    async def _begin(self, call: Call, action: Action, source: Source) -> Response:
        asked = parse_sweep(call.body, action, source)
        operation = self._new(call, asked)
        if asked.dry_run:
            call.scope.pop(OPERATION, None)  # nothing is changed
            matched, is_all = await count(self._parts, operation, COUNT_ITEMS_MAX)
            counted = replace(
                operation,
                matched=matched,
                matched_all=is_all,
                state="succeeded",
                finished_ms=self._parts.clock.now_ms(),
            )
            return _json(document_of(counted, dry_run=True))
        if self._kept is None:
            raise Unavailable("operations are not kept here: this gateway follows no operations topic", 60)
        running = [each for each in self._kept.all() if each.state == "running" and each.namespace == call.namespace]
        if len(running) >= RUNNING_MAX:
            raise Unavailable(f"{RUNNING_MAX} operations of this namespace are under way, which is the limit", 5)
        operation = await self._kept.save(replace(operation, owner=self._kept.gateway))
        self._work(operation)
        await self._kept.drop_oldest()
        return _json(self._document(operation), 202, {"Location": LOCATION + operation.id})

    def _new(self, call: Call, asked: Asked) -> StoredOperation:
        return StoredOperation(
            id=self._parts.new_id(),
            namespace=call.namespace,
            action=asked.action,
            source=asked.source,
            filter=dict(asked.words),
            began_ms=self._parts.clock.now_ms(),
            rate_per_second=asked.rate_per_second,
            reason=asked.reason,
            actor=actor_of(call.scope["headers"]),
        )

    def _work(self, operation: StoredOperation) -> None:
        assert self._kept is not None, "looked at by the callers"
        work = SweepWork(self._parts, self._kept, operation)
        task = asyncio.get_running_loop().create_task(work.run(), name=f"operation-{operation.id}")
        self._works[operation.id] = task
        task.add_done_callback(lambda _: self._works.pop(operation.id, None))

    async def _follow(self) -> None:
        while True:
            try:
                await self._look()
            except Unavailable as error:
                log.warning("operations cannot be looked after now: %s", error)
            except Exception:
                log.exception("looking after operations failed")
            await asyncio.sleep(FOLLOW_SECONDS)

    async def _look(self) -> None:
        """Takes over what nobody works on."""
        assert self._kept is not None, "looked at in start"
        now, standing = self._parts.clock.monotonic(), {}
        for operation in self._kept.all():
            if operation.state != "running" or operation.id in self._works:
                continue
            beats, since = self._seen.get(operation.id, (-1, now))
            standing[operation.id] = (operation.beats, since if beats == operation.beats else now)
            if operation.owner == "" or now - standing[operation.id][1] > TAKEOVER_SECONDS:
                await self._take_over(operation)
        self._seen = standing

    async def _take_over(self, operation: StoredOperation) -> None:
        assert self._kept is not None, "looked at in start"
        await self._kept.save(replace(operation, owner=self._kept.gateway))
        now = self._kept.get(operation.namespace, operation.id)
        if now is not None and now.owner == self._kept.gateway and now.state == "running":
            log.info("the operation %s is taken over at %d of %d", now.id, now.done, now.matched)
            self._work(now)


def document_of(operation: StoredOperation, *, dry_run: bool = False) -> dict[str, Any]:
    """{"operation": {...}}, as GET shows it."""
    shown: dict[str, Any] = {
        "id": operation.id, "state": operation.state, "action": operation.action, "source": operation.source,
        "filter": operation.filter, "rate": operation.rate_per_second, "dry_run": dry_run, "matched": operation.matched,
        "matched_all": operation.matched_all, "done": operation.done, "failed": operation.failed,
        "skipped": operation.skipped, "errors": operation.errors, "began_at": format_instant(operation.began_ms),
        "finished_at": format_instant_or_none(operation.finished_ms), "by": operation.actor,
    }  # fmt: skip
    if operation.source == "runs" or operation.action == "replay":
        shown["counting"] = operation.phase == "counting" and not dry_run
    if operation.reason:
        shown["reason"] = operation.reason
    if operation.problem:
        shown["problem"] = operation.problem
    return {"operation": shown}


def _json(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(answer_json(document), status, headers, "application/json")

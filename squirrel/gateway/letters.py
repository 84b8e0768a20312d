"""The calls on dead letters: find them, call one again, give one up with a reason, take that back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from starlette.responses import Response

from squirrel.gateway.actor import actor_of
from squirrel.gateway.call import Call
from squirrel.gateway.cursors import to_history
from squirrel.gateway.letter_marks import LetterMarks
from squirrel.gateway.outcomes import answer
from squirrel.gateway.problems import Answered
from squirrel.gateway.replay_body import read_replay
from squirrel.gateway.replays import ReplayOrder, Replays
from squirrel.gateway.run_search import read_letter_filter
from squirrel.gateway.run_view import dead_letter_document
from squirrel.gateway.runs import page_of, run_id_of
from squirrel.model.clock import Clock
from squirrel.model.errors import Problem, Refused
from squirrel.model.limits import REQUEST_BYTES_MAX
from squirrel.stores.history import DeadLetterRecord, History
from squirrel.wire.documents import TargetPolicy, answer_json, read_document

REASON_CHARS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class LetterParts:
    """What the calls on dead letters share."""

    clock: Clock
    new_id: Callable[[], str]
    history: History
    replays: Replays
    marks: LetterMarks
    targets: TargetPolicy


class Letters:
    """Handlers; each gives the answer or raises what becomes a problem document."""

    def __init__(self, parts: LetterParts) -> None:
        self._parts = parts

    async def list(self, call: Call) -> Response:
        """GET /dead-letters."""
        problems: list[Problem] = []
        where = read_letter_filter(call.query, problems)
        if problems:
            raise Refused("invalid", problems)
        cursor = to_history(call.query.get("cursor"))
        page = await self._parts.history.dead_letters(call.namespace, where, call.limit, cursor)
        return page_of([dead_letter_document(letter) for letter in page.items], page.next_cursor)

    async def get(self, call: Call) -> Response:
        """GET /dead-letters/{run}."""
        return _shown(await self._letter(call))

    async def replay(self, call: Call) -> Response:
        """POST /dead-letters/{run}:replay: as of a run, and the letter says which run took its place."""
        parts = self._parts
        message, target = read_replay(call.body, parts.targets.of(call.namespace))
        letter = await self._letter(call)
        actor = actor_of(call.scope["headers"])
        order = ReplayOrder(
            namespace=call.namespace,
            schedule_id=letter.schedule_id,
            run=letter.run,
            command_id=parts.new_id(),
            accepted_ms=parts.clock.now_ms(),
            message=message,
            target=target,
        )
        replayed = await parts.replays.send(order, wait=not call.respond_async, by=actor)
        return answer(letter.schedule_id, replayed.decided)

    async def discard(self, call: Call) -> Response:
        """POST /dead-letters/{run}:discard: it stays on record, with the reason, and no replay by filter takes it."""
        reason = _reason(call.body, required=True)
        return await self._mark(call, "discarded", reason)

    async def reopen(self, call: Call) -> Response:
        """POST /dead-letters/{run}:reopen."""
        return await self._mark(call, "open", _reason(call.body, required=False))

    async def _mark(self, call: Call, state: str, reason: str) -> Response:
        letter = await self._letter(call)
        actor = actor_of(call.scope["headers"])
        mark = await self._parts.marks.write(letter, state, reason=reason, actor=actor)
        return _shown(msgspec.structs.replace(letter, mark=mark))

    async def _letter(self, call: Call) -> DeadLetterRecord:
        run = run_id_of(call)
        letter = await self._parts.history.dead_letter(call.namespace, run)
        if letter is None:
            raise Answered(
                "not_found", f"there is no dead letter of {run} in this namespace; GET /api/v1/runs/{run} says more"
            )
        return letter


def _shown(letter: DeadLetterRecord) -> Response:
    return Response(answer_json(dead_letter_document(letter)), 200, media_type="application/json")


def _reason(body: bytes, *, required: bool) -> str:
    if not body.strip() and not required:
        return ""
    values = read_document(body, REQUEST_BYTES_MAX).values
    problems = [Problem(key[:100], "is no known field; known here: reason") for key in values if key != "reason"]
    reason = values.get("reason")
    if reason is None and not required:
        reason = ""
    elif not isinstance(reason, str) or not 1 <= len(reason.strip()) <= REASON_CHARS_MAX or not reason.isprintable():
        problems.append(
            Problem("reason", f"must have 1 to {REASON_CHARS_MAX} printable characters: others will want to know")
        )
    if problems:
        raise Refused("invalid", problems)
    return str(reason).strip()

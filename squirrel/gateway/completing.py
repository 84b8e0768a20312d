"""The calls with which an asynchronous target keeps its promise: `:complete` and `:heartbeat` of a run.

Both take the token of the attempt (header `squirrel-completion-token`) instead of a credential; it says which namespace,
schedule, run and attempt are meant, and opens nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.lookups import Lookups
from squirrel.gateway.outcomes import accepted, problem_of
from squirrel.gateway.problems import Answered, invalid
from squirrel.gateway.run_view import open_run_document, run_from_last
from squirrel.gateway.writes import Order, Writes
from squirrel.model.clock import Clock
from squirrel.model.completion_token import HEADER, Claim, read_claim
from squirrel.model.errors import Problem, Refused
from squirrel.model.limits import REQUEST_BYTES_MAX, RESPONSE_BYTES_KEPT_MAX
from squirrel.model.schedule import decode_row
from squirrel.wire import owner_link as codes
from squirrel.wire.documents import answer_json, read_document
from squirrel.wire.documents.json_text import visible
from squirrel.wire.documents.names import entries_of, spellings
from squirrel.wire.documents.values import Problems, read_bool, read_choice, read_prose
from squirrel.wire.owner_link import Decided
from squirrel.wire.records import Command, Op

ERROR_CHARS_MAX: Final = 1024
_HEADER: Final = HEADER.encode()
_NAMES: Final = spellings(("outcome", "result", "error", "retry"))


class Ending(Struct, frozen=True):
    """How the target says that the attempt ended; `result` is JSON."""

    outcome: str = "success"
    result: bytes = b""
    error: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True)
class CompletingParts:
    """What these calls need."""

    clock: Clock
    new_id: Callable[[], str]
    lookups: Lookups
    writes: Writes
    key: bytes | None  # of the tokens


class Completing:
    """Handlers."""

    def __init__(self, parts: CompletingParts) -> None:
        self._parts = parts

    async def complete(self, call: Call) -> Response:
        """POST /runs/{run}:complete."""
        claim = self._claim(call)
        ending = read_ending(call.body)
        return await self._send(call, "complete", claim, ending)

    async def heartbeat(self, call: Call) -> Response:
        """POST /runs/{run}:heartbeat."""
        return await self._send(call, "heartbeat", self._claim(call), Ending())

    def _claim(self, call: Call) -> Claim | None:
        """What the token is for; None without one, when the caller's credential has to do."""
        token = call.header(_HEADER)
        if token is None:
            return None
        claim = read_claim(self._parts.key, token)
        if claim is None or claim.run != call.path["run"]:
            detail = "the completion token is not one of this run; send the one that came with the call, unchanged"
            raise Answered("unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
        return claim

    async def _send(self, call: Call, op: Op, claim: Claim | None, ending: Ending) -> Response:
        parts, run = self._parts, call.path["run"]
        namespace = claim.namespace if claim is not None else call.namespace
        schedule_id = claim.schedule if claim is not None else await self._schedule_of(namespace, run)
        located = await parts.lookups.get(namespace, schedule_id)
        command = Command(
            op=op,
            namespace=namespace,
            id=schedule_id,
            command_id=parts.new_id(),
            accepted_ms=parts.clock.now_ms(),
            reply=True,
            actor="target" if claim is not None else "rest",
            run=run,
            attempt=claim.attempt if claim is not None else 0,
        )
        if op == "complete":
            command = replace(
                command, outcome=ending.outcome, message=ending.result, detail=ending.error, final=ending.final
            )
        decided = await parts.writes.send(Order(command, located.partition))
        return _answer(schedule_id, run, decided)

    async def _schedule_of(self, namespace: str, run: str) -> str:
        row = await self._parts.lookups.of_run(namespace, run)
        if row is None:
            raise Answered("not_found", f"no run {visible(run)} is open in this namespace; it may be over")
        return row.id


def _answer(schedule_id: str, run: str, decided: Decided | None) -> Response:
    """The run as it is now."""
    if decided is None:
        return accepted(schedule_id)
    if decided.code == codes.REFUSED:
        raise invalid(decided.field, decided.detail)
    if decided.code != codes.CHANGED or decided.row is None:
        raise problem_of(schedule_id, decided)
    row = decode_row(decided.row)
    if decided.open_run is not None:
        document: dict[str, Any] = open_run_document(decided.open_run, row)
    elif decided.last_run is not None and decided.last_run.id == run:
        document = run_from_last(decided.last_run, row)
    else:
        return accepted(schedule_id)
    return Response(answer_json(document), 200, media_type="application/json")


def read_ending(body: bytes) -> Ending:
    """The body of `:complete`; without one the attempt succeeded. Raises NotJson or Refused."""
    if not body:
        return Ending()
    document = read_document(body, REQUEST_BYTES_MAX)
    problems: Problems = []
    entries = entries_of(document.values, _NAMES, "", problems)
    given = {name: entry for name, entry in entries.items() if entry[1] is not None}
    outcome, error, again, result = "success", "", True, b""
    if (entry := given.get("outcome")) is not None:
        outcome = read_choice(*entry, problems, ("success", "failure")) or outcome
    if (entry := given.get("error")) is not None:
        error = read_prose(*entry, problems, ERROR_CHARS_MAX) or ""
    if (entry := given.get("retry")) is not None:
        again = read_bool(*entry, problems) is not False
    if (entry := given.get("result")) is not None:
        result = document.raw(entry[0])
        if len(result) > RESPONSE_BYTES_KEPT_MAX:
            reason = f"has {len(result)} bytes, the limit is {RESPONSE_BYTES_KEPT_MAX}; send a reference"
            problems.append(Problem(entry[0], reason))
    if outcome == "success" and (error or not again):
        problems.append(Problem("outcome", "is success; error and retry belong to a failure"))
    if problems:
        raise Refused("invalid", problems)
    return Ending(outcome, result, error, not again)

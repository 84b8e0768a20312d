"""The calls that repair: dead letters, and operations on all runs or letters that match. One entry each."""

from __future__ import annotations

from typing import Any, Final

from squirrel.gateway.answer_schemas import json_content
from squirrel.gateway.bulk import BulkOperations
from squirrel.gateway.deps import GatewayDeps
from squirrel.gateway.letter_marks import LetterMarks
from squirrel.gateway.letters import LetterParts, Letters
from squirrel.gateway.operation import Operation
from squirrel.gateway.paging import PAGE
from squirrel.gateway.producing import CommandLog
from squirrel.gateway.repair_schemas import EXAMPLE
from squirrel.gateway.replays import Replays
from squirrel.gateway.run_search import LETTER_QUERY
from squirrel.gateway.schedules import Parts
from squirrel.gateway.sweep_items import SweepParts
from squirrel.gateway.sweep_log import SweepLog
from squirrel.gateway.sweeps import Sweeps

API: Final = "/api/v1"
_LOCATION: Final = {"Location": {"schema": {"type": "string"}}}


class Repair:
    """Makes these calls' handlers; `start` and `close` bound what they do in the background."""

    def __init__(
        self, deps: GatewayDeps, parts: Parts, bulk: BulkOperations, letters: CommandLog, operations: CommandLog
    ) -> None:
        marks = LetterMarks(deps.clock, letters, parts.lookups)
        self.replays = replays = Replays(parts.lookups, parts.writes, deps.history, marks)
        kept = None if deps.operations is None else SweepLog(operations, deps.operations, deps.new_id())
        self._letters = Letters(
            LetterParts(deps.clock, deps.new_id, deps.history, replays, marks, deps.settings.targets)
        )
        self._sweeps = Sweeps(SweepParts(deps.clock, deps.new_id, deps.history, replays, marks), kept, bulk)

    async def start(self) -> None:
        """Looks after operations."""
        await self._sweeps.start()

    async def close(self) -> None:
        """Hands operations over."""
        await self._sweeps.close()

    def operations(self) -> list[Operation]:
        """What `routes_of` and the document are made from."""
        return [*self._of_letters(), *self._of_many(), *self._of_operations()]

    def _of_letters(self) -> list[Operation]:
        path, letters = f"{API}/dead-letters/{{run}}", self._letters
        shown = {200: _json("DeadLetter", "the letter")}
        return [
            Operation(
                method="GET", path=f"{API}/dead-letters", handler=letters.list, tag="dead letters",
                query={**LETTER_QUERY, **PAGE}, summary="Runs that used up their attempts, latest first",
                description="Discarded and replayed ones stay in the list, with what was made of them, until their retention "
                "ends. The times are those of the runs' ends.",
                responses={200: _json("DeadLetterPage", "a page")},
            ),
            Operation(
                method="GET", path=path, handler=letters.get, tag="dead letters", summary="A dead letter", responses=shown,
            ),
            Operation(
                method="POST", path=f"{path}:replay", handler=letters.replay, tag="dead letters", headers=("Prefer",),
                summary="Call it again as a new run, and note so",
                body=_body("Replay", {"message": {"subject": "Again"}}, required=False),
                responses={
                    201: _json("Run", "the new run", _LOCATION), 202: _json("Accepted", "stored", _LOCATION), 409: {},
                },
            ),
            Operation(
                method="POST", path=f"{path}:discard", handler=letters.discard, tag="dead letters",
                summary="Give it up, with a reason; it stays on record",
                body=_body("Discard", {"reason": "the customer has left"}),
                responses=shown,
            ),
            Operation(
                method="POST", path=f"{path}:reopen", handler=letters.reopen, tag="dead letters",
                summary="Take a discard back", body=_body("Reopen", {"reason": "a mistake"}, required=False), responses=shown,
            ),
        ]  # fmt: skip

    def _of_many(self) -> list[Operation]:
        sweeps = self._sweeps

        def begin(
            path: str, handler: Any, body: str, example: dict[str, Any], summary: str, more: str = ""
        ) -> Operation:
            return Operation(
                method="POST", path=f"{API}/{path}", handler=handler, tag="repair", summary=summary,
                description="A durable operation: newest first, at `rate` a second, what was there when it began. It goes on "
                f"with another gateway, or after a restart, where it was; nothing is called twice for that. {more}",
                body=_body(body, example),
                responses={
                    200: _json("Operation", "what would be done (`dry_run`)"),
                    202: _json("Operation", "begun; see Location", _LOCATION),
                },
            )  # fmt: skip

        discard = {"filter": {"event": "email.*", "state": "open"}, "reason": "sent by hand", "dry_run": True}
        return [
            begin(
                "runs:replay", sweeps.replay_runs, "ReplayRuns", EXAMPLE, "Call again every run that matches a filter",
                "The old runs are kept and the new ones name them (`replay_of`).",
            ),
            begin(
                "dead-letters:replay", sweeps.replay_letters, "ReplayLetters",
                {"filter": {"event": "email.*"}, "rate": 50, "dry_run": True}, "Call again every dead letter that matches",
                "Without `state` the open ones.",
            ),
            begin(
                "dead-letters:discard", sweeps.discard_letters, "DiscardLetters", discard,
                "Give up every dead letter that matches, with a reason", "Without `state` the open ones.",
            ),
        ]  # fmt: skip

    def _of_operations(self) -> list[Operation]:
        path = f"{API}/operations/{{operation}}"
        return [
            Operation(
                method="GET", path=f"{API}/operations", handler=self._sweeps.list, tag="repair",
                summary="Operations on runs and dead letters, newest first",
                responses={200: _json("OperationPage", "the newest")},
            ),
            Operation(
                method="GET", path=path, handler=self._sweeps.get, tag="repair", summary="How far an operation is",
                responses={200: _json("Operation", "the operation")},
            ),
            Operation(
                method="POST", path=f"{path}:cancel", handler=self._sweeps.cancel, tag="repair",
                summary="End an operation; what is done stays done",
                responses={200: _json("Operation", "cancelled, or `cancelling` until its gateway has heard of it")},
            ),
        ]  # fmt: skip


def _json(name: str, description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": json_content(name)}
    return answer | {"headers": headers} if headers else answer


def _body(name: str, example: Any, *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": json_content(name, example)}

"""What repairs, for both clients: replays and discards by filter, operations, what is made of dead letters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, TypeVar

from msgspec import Struct

from squirrel.client import calls
from squirrel.client.records import DeadLetter, Page, Run
from squirrel.client.talk import Request

T = TypeVar("T")
POLL_SECONDS: Final = 0.5
RUNNING: Final = frozenset({"running", "cancelling"})


class RunsWhere(TypedDict, total=False):
    """Which runs; all that is given must hold. `event` may end in `*`, `status` is 503 or "5xx"."""

    state: str
    event: str
    schedule: str
    tag: str
    host: str
    status: int | str
    start: datetime | str
    end: datetime | str
    q: str


class Operation(Struct, frozen=True, kw_only=True):
    """Work on many runs or dead letters. `matched_all` False: counting was cut short, there are more."""

    id: str
    state: Literal["running", "cancelling", "cancelled", "succeeded", "failed"]
    action: str = ""
    source: str = ""
    filter: dict[str, Any] = {}
    rate: float = 0
    dry_run: bool = False
    counting: bool = False
    matched: int = 0
    matched_all: bool = True
    done: int = 0
    failed: int = 0
    skipped: int = 0
    errors: list[dict[str, Any]] = []
    reason: str = ""
    problem: str = ""
    began_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state not in RUNNING

    @property
    def worked(self) -> int:
        """How many of `matched` it has been through."""
        return self.done + self.failed + self.skipped


class _Answer(Struct, frozen=True):
    operation: Operation


_NAMES: Final = {"start": "from", "end": "to"}  # `from` is a word of Python


def runs_query(
    schedule_id: str | None, where: Mapping[str, Any], page_items: int | None
) -> tuple[str, dict[str, object]]:
    """(path, query) of a list of runs."""
    query: dict[str, object] = {_NAMES.get(name, name): value for name, value in where.items()} | {"limit": page_items}
    if schedule_id is None or where:
        return f"{calls.API}/runs", query | ({} if schedule_id is None else {"schedule": schedule_id})
    return calls.path_of("schedules", schedule_id, "runs"), query


def begin(path: str, where: Mapping[str, Any], rate: float | None, reason: str | None, dry_run: bool) -> Request:
    """A request for many. Not repeated after a lost answer: it could begin twice."""
    filtered = {_NAMES.get(name, name): value for name, value in where.items() if value is not None}
    body: dict[str, Any] = {"filter": filtered, "dry_run": dry_run}
    body |= {} if rate is None else {"rate": rate}
    body |= {} if reason is None else {"reason": reason}
    return Request(
        "POST", f"{calls.API}/{path}", headers=calls.JSON_HEADERS, body=calls.json_of(body), repeatable=dry_run
    )


def letter_verb(run_id: str, verb: str, fields: Mapping[str, Any]) -> Request:
    """`:replay`, `:discard` or `:reopen` of one letter; a second replay would be a second run."""
    path = f"{calls.path_of('dead-letters', run_id)}:{verb}"
    body = calls.json_of(calls.content_of(fields)) if fields else None
    return Request("POST", path, headers=calls.JSON_HEADERS if fields else {}, body=body, repeatable=verb != "replay")


def _operation(operation_id: str, verb: str = "") -> Request:
    return Request("POST" if verb else "GET", calls.path_of("operations", operation_id) + verb)


class RepairCalls(ABC):
    """The part of `Client` that repairs."""

    @abstractmethod
    def _one(self, kind: type[T], request: Request) -> T: ...

    @abstractmethod
    def _pause(self, seconds: float) -> None: ...

    def replay_runs(self, where: RunsWhere, *, rate: float = 50, dry_run: bool = False) -> Operation:
        """Call again every run that is over and matches, `rate` a second. `dry_run` counts and changes nothing."""
        return self._one(_Answer, begin("runs:replay", where, rate, None, dry_run)).operation

    def replay_letters(self, where: RunsWhere, *, rate: float = 50, dry_run: bool = False) -> Operation:
        """Call again every open dead letter that matches (event, schedule, start, end, q)."""
        return self._one(_Answer, begin("dead-letters:replay", where, rate, None, dry_run)).operation

    def discard_letters(self, where: RunsWhere, reason: str, *, dry_run: bool = False) -> Operation:
        """Give up every open dead letter that matches; they stay on record with the reason."""
        return self._one(_Answer, begin("dead-letters:discard", where, None, reason, dry_run)).operation

    def letter(self, run_id: str) -> DeadLetter:
        """A dead letter. Raises NotFound."""
        return self._one(DeadLetter, Request("GET", calls.path_of("dead-letters", run_id)))

    def replay_letter(self, run_id: str, **changes: Any) -> Run:
        """As `replay`, and the letter says which run took its place."""
        return self._one(Run, letter_verb(run_id, "replay", changes))

    def discard_letter(self, run_id: str, reason: str) -> DeadLetter:
        """Give one up."""
        return self._one(DeadLetter, letter_verb(run_id, "discard", {"reason": reason}))

    def reopen_letter(self, run_id: str) -> DeadLetter:
        """Take a discard back."""
        return self._one(DeadLetter, letter_verb(run_id, "reopen", {}))

    def operations(self) -> list[Operation]:
        """The newest, newest first."""
        page: Page[Operation] = self._one(Page[Operation], Request("GET", f"{calls.API}/operations"))
        return page.items

    def operation(self, operation_id: str) -> Operation:
        """How far one is. Raises NotFound."""
        return self._one(_Answer, _operation(operation_id)).operation

    def cancel_operation(self, operation_id: str) -> Operation:
        """End one; what is done stays done."""
        return self._one(_Answer, _operation(operation_id, ":cancel")).operation

    def follow(self, operation_id: str) -> Iterator[Operation]:
        """How far one is, again and again, until it is over; the last one says how it ended."""
        while True:
            seen = self.operation(operation_id)
            yield seen
            if seen.is_over:
                return
            self._pause(POLL_SECONDS)


class AsyncRepairCalls(ABC):
    """The part of `AsyncClient` that repairs; the methods of `RepairCalls`."""

    @abstractmethod
    def _one(self, kind: type[T], request: Request) -> Awaitable[T]: ...

    async def replay_runs(self, where: RunsWhere, *, rate: float = 50, dry_run: bool = False) -> Operation:
        return (await self._one(_Answer, begin("runs:replay", where, rate, None, dry_run))).operation

    async def replay_letters(self, where: RunsWhere, *, rate: float = 50, dry_run: bool = False) -> Operation:
        return (await self._one(_Answer, begin("dead-letters:replay", where, rate, None, dry_run))).operation

    async def discard_letters(self, where: RunsWhere, reason: str, *, dry_run: bool = False) -> Operation:
        return (await self._one(_Answer, begin("dead-letters:discard", where, None, reason, dry_run))).operation

    async def letter(self, run_id: str) -> DeadLetter:
        return await self._one(DeadLetter, Request("GET", calls.path_of("dead-letters", run_id)))

    async def replay_letter(self, run_id: str, **changes: Any) -> Run:
        return await self._one(Run, letter_verb(run_id, "replay", changes))

    async def discard_letter(self, run_id: str, reason: str) -> DeadLetter:
        return await self._one(DeadLetter, letter_verb(run_id, "discard", {"reason": reason}))

    async def reopen_letter(self, run_id: str) -> DeadLetter:
        return await self._one(DeadLetter, letter_verb(run_id, "reopen", {}))

    async def operations(self) -> list[Operation]:
        page: Page[Operation] = await self._one(Page[Operation], Request("GET", f"{calls.API}/operations"))
        return page.items

    async def operation(self, operation_id: str) -> Operation:
        return (await self._one(_Answer, _operation(operation_id))).operation

    async def cancel_operation(self, operation_id: str) -> Operation:
        return (await self._one(_Answer, _operation(operation_id, ":cancel"))).operation

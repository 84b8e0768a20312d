"""What calls answer and take, typed. Answers are open: fields that a later server adds are left aside here, and are in `raw`
calls (`Client.call`) as they came.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypedDict, TypeVar

from msgspec import Struct

T = TypeVar("T")
When = dict[str, Any]
Target = str | dict[str, Any]  # a string is the URL of a webhook


class NewSchedule(TypedDict, total=False):
    """A schedule to create. `event`, `when` and, unless a route matches the event, `target` are needed."""

    id: str
    event: str
    when: When
    target: Target
    message: Any
    name: str
    description: str
    tags: list[str]
    metadata: dict[str, Any]
    retry: dict[str, Any]
    fire_and_forget: bool
    fallback: list[dict[str, Any]]
    overlap: Literal["skip", "queue", "allow"]
    missed: Literal["run_all", "run_last", "skip"]
    max_lateness_seconds: float | None
    group: str
    retention_seconds: float


class Schedule(Struct, frozen=True, kw_only=True):
    """A schedule as the server has it. After a 202 `state` is `accepted` and only `id` and `warnings` are known."""

    id: str
    namespace: str = ""
    event: str = ""
    state: str = "accepted"
    revision: int = 0
    next_run: datetime | None = None
    when: dict[str, Any] = {}
    message: Any = None
    target: dict[str, Any] | None = None
    name: str = ""
    description: str = ""
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    retry: dict[str, Any] | None = None
    fire_and_forget: bool = False
    fallback: list[dict[str, Any]] = []
    overlap: str = ""
    missed: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    reason: str = ""
    last_run: dict[str, Any] | None = None
    warnings: list[str] = []


class AttemptError(Struct, frozen=True, kw_only=True):
    """Why an attempt failed: a stable word (dns, connect, tls, timeout, status, …) and a sentence."""

    type: str
    detail: str = ""


class Attempt(Struct, frozen=True, kw_only=True):
    """One call of a run. Instants are aware datetimes; those that have not happened yet are None."""

    number: int
    state: str
    due: datetime
    emitted: datetime | None = None
    picked_up: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    target: dict[str, Any] | None = None
    status: int | None = None
    headers: dict[str, Any] = {}
    body: str = ""
    body_truncated: bool = False
    error: AttemptError | None = None


class Run(Struct, frozen=True, kw_only=True):
    """One occurrence of a schedule with its attempts. After a 202 `state` is `accepted` and only `id` is known."""

    id: str
    schedule_id: str = ""
    namespace: str = ""
    event: str = ""
    state: str = "accepted"
    slot: datetime | None = None
    due: datetime | None = None
    finished: datetime | None = None
    attempts: list[Attempt] = []
    replay_of: str | None = None
    reason: str = ""
    triggered_by: str = ""  # who asked for it by hand


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A run that used up its attempts; `state` is open, discarded or replayed, and `mark` says when, why, by whom."""

    run: str
    schedule_id: str
    event: str
    attempts: int
    reason: str
    due: datetime | None = None
    finished: datetime | None = None
    target: dict[str, Any] | None = None
    message: Any = None
    state: str = "open"
    mark: dict[str, Any] = {}


class Route(Struct, frozen=True, kw_only=True):
    """Where the events of a pattern go."""

    pattern: str
    target: dict[str, Any]
    retry: dict[str, Any] | None = None
    fallback: list[dict[str, Any]] = []
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """Some of a list; `next_cursor` None ends it."""

    items: list[T]
    next_cursor: str | None = None


class Created(Struct, frozen=True, kw_only=True):
    """What became of one schedule of a batch: `status` as a single create would have answered; `error` its problem document."""

    status: int
    id: str | None = None
    error: dict[str, Any] | None = None
    warnings: list[str] = []

    @property
    def ok(self) -> bool:
        """Whether it is stored."""
        return self.status < 400


class Preview(Struct, frozen=True, kw_only=True):
    """When a rule would run."""

    runs: list[datetime]
    explain: str = ""
    warnings: list[str] = []


class Completion(Struct, frozen=True, kw_only=True):
    """The final outcome of a run, as Kafka has it. `state`: succeeded, failed, cancelled, skipped, missed or sent."""

    run: str
    schedule_id: str
    namespace: str
    event: str
    state: str
    slot: datetime
    due: datetime
    finished: datetime
    attempts: int
    reason: str = ""
    status: int | None = None
    replay_of: str | None = None
    triggered_by: str = ""
    tags: list[str] = []

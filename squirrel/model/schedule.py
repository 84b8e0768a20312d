"""The nouns of the timeline: what was asked for (`Spec`), what is true of it now (`Row`), and its runs.

A `Row` is the value of an `S` record in the changelog: array-like msgpack, so fields are only ever appended, each with a
default, and a row written by an older release decodes in a newer one.

Nothing here can be part of a cycle, so the garbage collector need not follow it (`gc=False`: 5 % of a run).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from squirrel.model.flow import Flow
from squirrel.model.limits import RETENTION_MS_DEFAULT
from squirrel.model.retry import RetryPolicy
from squirrel.model.target import Fallback, Target
from squirrel.model.when import When
from squirrel.model.workflow import WorkflowState


class State(StrEnum):
    """The life of a schedule; `MOVES` draws it."""

    UNKNOWN = "unknown"  # changes arrived before the create; never shown to anyone
    WAITING = "waiting"  # for its parents
    ACTIVE = "active"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"  # its rule cannot be evaluated, or a parent never existed; `reason` says which


MOVES: dict[State, frozenset[State]] = {
    State.UNKNOWN: frozenset({State.WAITING, State.ACTIVE, State.FAILED}),
    State.WAITING: frozenset({State.ACTIVE, State.PAUSED, State.FINISHED, State.CANCELLED, State.FAILED}),
    State.ACTIVE: frozenset({State.WAITING, State.PAUSED, State.FINISHED, State.CANCELLED, State.FAILED}),
    State.PAUSED: frozenset({State.WAITING, State.ACTIVE, State.FINISHED, State.CANCELLED, State.FAILED}),
    # Out of these two only by a foreign API's PUT or DELETE, see engine/changes.py, REVIVE.
    State.FINISHED: frozenset({State.WAITING, State.ACTIVE, State.CANCELLED}),
    State.CANCELLED: frozenset({State.WAITING, State.ACTIVE}),
    State.FAILED: frozenset({State.WAITING, State.ACTIVE, State.CANCELLED}),
}
LIVE = frozenset({State.WAITING, State.ACTIVE, State.PAUSED})  # listed when nobody asks for a state
FINAL = frozenset({State.FINISHED, State.CANCELLED, State.FAILED})


class RunState(StrEnum):
    """The life of a run, in the words of the API."""

    SCHEDULED = "scheduled"
    IN_FLIGHT = "in_flight"
    RETRY_WAIT = "retry_wait"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSED = "missed"
    CANCELLED = "cancelled"
    SENT = "sent"


RUN_FINAL = frozenset(
    {RunState.SUCCEEDED, RunState.FAILED, RunState.SKIPPED, RunState.MISSED, RunState.CANCELLED, RunState.SENT}
)
Outcome = Literal["success", "failure", "completion"]


class Spec(Struct, gc=False, frozen=True, array_like=True):
    """What somebody asked for; a change makes a new one and raises the row's revision. JSON values are raw bytes."""

    event: str
    when: When
    message: bytes = b"null"
    target: Target | None = None  # None: the route that matches the event when the run is emitted
    retry: RetryPolicy | None = None  # None: the route's, else the default
    fire_and_forget: bool = False
    fallback: tuple[Fallback, ...] = ()
    overlap: Literal["skip", "queue", "allow"] = "skip"
    missed: Literal["run_all", "run_last", "skip"] | None = None  # None: by kind, see `missed_policy`
    max_lateness_ms: int | None = None
    group: str | None = None
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    metadata: bytes = b"{}"
    retention_ms: int = RETENTION_MS_DEFAULT
    dialect: str = ""  # the API it was made in, when that is not ours; it answers in it
    dialect_fields: bytes = b"{}"  # what that API shows and we have no field for
    at_most_once: bool = False  # the attempt is recorded before the call and never repeated
    keep_response: bool = False  # the last answer stays in the row, for children that come after it
    flow: Flow | None = None  # None: the route's, where the target is the route's too


class OpenRun(Struct, gc=False, array_like=True):
    """One occurrence that has no final outcome yet. Mutable: the step owns the row it decoded."""

    id: str
    slot_ms: int
    due_ms: int  # of the attempt that is next or in flight
    state: RunState = RunState.SCHEDULED
    attempt: int = 0  # the last one emitted, over all targets
    tries: int = 0  # of those, calls made on the current target
    stage: int = 0  # 0 the target, n its n-th fallback
    emitted_ms: int = 0
    kind: Literal["slot", "trigger", "replay", "event"] = "slot"
    replay_of: str | None = None
    message: bytes | None = None  # a replay may carry its own
    target: Target | None = None
    first_emitted_ms: int = 0
    stage_began_ms: int = 0  # due time of the first attempt on the current target, where its policy has a deadline
    until_ms: int | None = None  # in flight: given up without an answer at this instant
    promised_ms: int = 0  # when the call began that was answered by a promise (202); 0: none was
    turn: Literal["", "instant", "place"] = ""  # what its flow held it for: a reserved instant, or a place to come free
    flow: str = ""  # the flow's key, while the call under way counts in it
    superseded: bool = False  # a forced change: the attempt in flight is its last
    triggered_by: str = ""  # who asked for it by hand; empty: its rule did


class LastRun(Struct, gc=False, frozen=True, array_like=True):
    """The newest finished run, kept in the row so that a look-up right after it needs no history."""

    id: str
    slot_ms: int
    state: RunState
    attempts: int
    finished_ms: int
    reason: str = ""
    answer: bytes = b""  # for children, see engine/answers.py; kept where one waits or the schedule says so
    triggered_by: str = ""


class Awaited(Struct, gc=False, array_like=True):
    """One schedule this one waits for; `outcome` stays None until it was released."""

    schedule: str
    on: Outcome
    outcome: str | None = None  # success, failure, cancelled, skipped, unknown
    finished_ms: int = 0
    result: bytes = b""  # what it answered, where this one asks


class Revision(Struct, gc=False, frozen=True, array_like=True):
    """A former spec: what the schedule was before its next revision."""

    revision: int
    until_ms: int
    spec: Spec


class Releasing(Struct, gc=False, frozen=True, array_like=True):
    """An outcome of this schedule that its children are being told, in pages after `after_child`."""

    outcome: str
    finished_ms: int
    after_child: str = ""
    answer: bytes = b""


class Row(Struct, gc=False, array_like=True):
    """All that is true of one schedule. The first nine fields are `RowHead`: what keys and indexes are made of."""

    namespace: str
    id: str
    state: State
    wake_ms: int | None  # the one instant at which the timeline must look at it again
    created_ms: int
    event: str
    tags: tuple[str, ...]
    revision: int
    runs: list[OpenRun]
    spec: Spec
    updated_ms: int = 0
    slot_ms: int | None = None  # the next slot that has not become a run
    slots: int = 0  # that became runs, against `max_runs`
    parents: list[Awaited] = []
    last: LastRun | None = None
    reason: str = ""
    expires_ms: int | None = None  # when a finished row leaves the state
    command_id: str = ""  # of the create: its replay is no second create
    fingerprint: str = ""  # of the content: the same id with the same content is no conflict
    epoch: int = 0  # of the owner that wrote it
    has_children: bool = False  # a W row may exist: told about each outcome
    releasing: list[Releasing] = []  # outcomes that children are still being told, oldest first
    owed_until_ms: int | None = None  # slots up to here were missed and are made up for one by one (`run_all`)
    command_offset: int = -1  # of the last command applied: what is below it and not newer is a replay
    rule_ms: int = 0  # the instant that `in_seconds` and a rule without a start count from
    parked: list[bytes] = []  # commands that wait for the create, encoded
    successes: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    revisions: list[Revision] = []  # newest last, bounded by number and bytes
    moved_to: str = ""  # UNKNOWN only: the schedule of this id lives where this group does
    workflow: WorkflowState | None = None  # of a schedule that is a workflow's run


class RowHead(Struct, gc=False, array_like=True):
    """The prefix of a `Row` from which every local key follows; decodes without the rest."""

    namespace: str
    id: str
    state: State
    wake_ms: int | None
    created_ms: int
    event: str
    tags: tuple[str, ...]
    revision: int
    runs: list[OpenRun]


encode_row = Encoder().encode
decode_row = Decoder(Row).decode
decode_row_head = Decoder(RowHead).decode


def is_recurring(when: When) -> bool:
    """Whether the rule can have more than one slot."""
    return when.cron is not None or when.rrule is not None or when.every is not None


def missed_policy(spec: Spec) -> Literal["run_all", "run_last", "skip"]:
    """api.md: `run_all` for one-shots, `run_last` for recurring, unless the schedule says."""
    if spec.missed is not None:
        return spec.missed
    return "run_last" if is_recurring(spec.when) else "run_all"

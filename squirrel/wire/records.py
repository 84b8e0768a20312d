"""The records of our own topics and their codecs: array-like msgpack, appended to but never reordered.

Internal topics (commands, executions, the changelog) are msgpack because the engine turns tens of thousands a second; what
users read (results, completions, dead letters, refused) is JSON, see `wire/public.py`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import MsgspecError, Struct
from msgspec.msgpack import Decoder, Encoder

from squirrel.model.retry import RetryRules
from squirrel.model.schedule import Spec
from squirrel.model.target import Target

Op = Literal[
    "create",
    "update",  # PUT and PATCH: the whole new spec
    "retime",  # inbox changes: only what `patch` names
    "cancel",
    "pause",
    "resume",
    "trigger",
    "replay",
    "subscribe",  # engine -> parent's partition: `child` waits for this schedule
    "release",  # engine -> child's partition: the parent `child` reached `outcome`
    "event",  # engine -> listener's partition: the run `run` of schedule `child` reached `outcome`
    "place",  # engine -> the id's own partition: the schedule lives where the group `child` does ("" ends it)
    "rollback",  # restore the spec of a former `revision`
    "complete",  # an asynchronous target keeps its promise: attempt `attempt` of `run` ended in `outcome`
    "heartbeat",  # an asynchronous target works on: `run` is given up later
    "workflow",  # a person's verb `on` to a workflow's run, for the step `child` where it takes one
    "replan",  # engine -> itself: a calendar that the rule names has changed
]


class Command(Struct, gc=False, array_like=True, frozen=True):
    """A validated change to one schedule. Key: the schedule id; partition: `partition_of`."""

    op: Op
    namespace: str
    id: str
    command_id: str  # unique per request; a replayed record carries the same
    accepted_ms: int
    spec: Spec | None = None  # create, update
    fingerprint: str = ""  # of the content, when the id came from outside
    reply: bool = False  # a gateway waits for the outcome
    park: bool = False  # wait for the create when the id is unknown
    if_revision: int | None = None
    force: str = ""  # "next": apply to the next run although one is in flight; "now": and give that one up
    patch: bytes = b""  # retime: the public JSON of the change
    actor: str = ""
    child: str = ""  # subscribe, release: the other schedule
    on: str = ""  # subscribe
    outcome: str = ""  # release: success, failure, cancelled, unknown
    finished_ms: int = 0  # release: when the parent's last attempt finished
    run: str = ""  # replay: the run that is called again
    message: bytes | None = None  # replay
    target: Target | None = None  # replay
    source: tuple[str, int, int] | None = None  # inbox topic, partition, offset, for a later refusal
    revision: int = 0  # rollback: the former revision to restore
    home: str = ""  # the group whose partition this goes to; "" the id's own
    child_home: str = ""  # subscribe: the group of `child`
    attempt: int = 0  # complete, heartbeat: the attempt that is meant; 0 whichever is in flight
    final: bool = False  # complete: a failure that no retry can mend
    detail: str = ""  # complete: why it failed
    brief: bool = False  # who waits does not need the row of a one-shot that was simply created
    wants: bool = False  # subscribe: the child asks for the answer
    answer: bytes = b""  # release, event: what the parent answered
    workflow: bytes = b""  # create: the state of the workflow's run that the schedule is


class Execution(Struct, gc=False, array_like=True, frozen=True):
    """One attempt that is due: the engine's order to an executor. Key: the schedule id; partition: the schedule's."""

    run: str
    attempt: int
    namespace: str
    schedule: str
    event: str
    slot_ms: int
    due_ms: int
    emitted_ms: int
    epoch: int  # of the owner; executors drop one older than the newest they saw for the partition
    target: Target
    message: bytes
    track: bool = True  # False: fire and forget without a fallback
    stage: int = 0
    replay_of: str | None = None
    retention_ms: int = 0
    revision: int = 0
    dialect: str = ""
    rules: RetryRules | None = None  # which endings are tried again; None: as each status says
    not_after_ms: int | None = None  # at most once: recorded before the call, and not called later than this


encode_command = Encoder().encode
encode_execution = Encoder().encode
_decode_command = Decoder(Command).decode
_decode_execution = Decoder(Execution).decode


class Undecodable(ValueError):
    """A record on an internal topic that is not ours: it is set aside with its topic, partition and offset."""


def decode_command(value: bytes | None) -> Command:
    """Raises Undecodable."""
    try:
        return _decode_command(value or b"")
    except (MsgspecError, ValueError, RecursionError) as error:
        raise Undecodable(f"not a command: {error}") from None


def decode_execution(value: bytes | None) -> Execution:
    """Raises Undecodable."""
    try:
        return _decode_execution(value or b"")
    except (MsgspecError, ValueError, RecursionError) as error:
        raise Undecodable(f"not an execution: {error}") from None

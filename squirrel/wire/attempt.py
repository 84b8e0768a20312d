"""One call and what came of it: the two nouns between the executor's shell and its targets."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from squirrel.model.target import Target

ErrorType = Literal[
    "bad_target",  # the URL, method, topic or a header cannot be sent as it stands
    "refused_by_guard",  # the address may not be called
    "dns",  # the name has no address, or the resolver is away
    "connect",  # refused, unreachable
    "tls",  # handshake or certificate
    "timeout",  # the deadline passed, in whatever phase
    "disconnected",  # the target hung up before its answer was whole
    "protocol",  # what it sent is not HTTP/1.1 as we speak it
    "response_too_large",  # a head beyond the limits; a long body is cut, not refused
    "status",  # a whole answer that is no success
    "produce",  # Kafka did not take the record
    "secret",  # a secret of the target does not exist, or cannot be opened
    "circuit_open",  # not called: the host has failed too often just now
    "disabled",  # not called: the host has failed for days
    "internal",  # a fault of ours
]


class Attempt(Struct, frozen=True):
    """What is called now. `message` is the JSON body as it will be signed and sent, byte for byte."""

    run_id: str
    schedule_id: str
    namespace: str
    event: str
    number: int  # from 1
    due_ms: int
    target: Target
    message: bytes
    traceparent: str = ""  # of whoever made the schedule; empty: one is derived from the run
    signing_keys: tuple[bytes, ...] = ()  # active keys, newest first; empty: unsigned
    completion_token: str = ""  # with which an asynchronous target completes the run


class Outcome(Struct, frozen=True):
    """How one attempt ended. `retryable` False with state failed: no repeat can mend it. Times are epoch milliseconds."""

    state: Literal["succeeded", "failed", "gone", "promised", "deferred"]  # deferred: not called, and put back
    started_ms: int
    finished_ms: int
    status: int | None = None
    headers: dict[str, str] = {}
    body: bytes = b""  # as received, never unpacked, cut at the limit
    truncated: bool = False
    error_type: ErrorType | None = None
    error_detail: str = ""
    retry_after_ms: int | None = None
    retryable: bool = False

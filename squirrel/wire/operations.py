"""The record of an operation on many runs or dead letters: what was asked, how far it is, and which gateway works on it.

Key `namespace/operation/id` on the operations topic. Written before each chunk is sent, so a gateway that takes over knows
which chunk may have been sent already: it sends that one again with the same instants and command ids, and the runs that exist
are not made twice.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.json import Decoder, Encoder

KIND: Final = "operation"


class StoredOperation(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Fields are only ever appended. `filter` is the caller's, in the API's words."""

    id: str
    namespace: str
    action: Literal["replay", "discard"]
    source: Literal["runs", "dead-letters"]
    filter: dict[str, Any]
    began_ms: int
    rate_per_second: float = 0.0
    reason: str = ""  # of a discard
    actor: str = ""
    state: Literal["running", "cancelled", "succeeded", "failed"] = "running"
    owner: str = ""  # the gateway that works on it
    beats: int = 0  # grows with each record: one that stands still has lost its gateway
    phase: Literal["counting", "working"] = "counting"
    cursor: str | None = None  # of the history: what lies below it is not done
    chunk_ms: int = 0  # the instant of the chunk that is being sent; its runs' slots
    matched: int = 0
    matched_all: bool = True  # False: counting was cut short, there are more
    done: int = 0
    failed: int = 0
    skipped: int = 0
    errors: list[dict[str, str]] = []
    finished_ms: int | None = None
    problem: str = ""  # why it could not go on


encode_operation = Encoder().encode
decode_operation = Decoder(StoredOperation).decode


def operation_key(namespace: str, operation_id: str) -> str:
    """`ns/operation/id`."""
    return f"{namespace}/{KIND}/{operation_id}"

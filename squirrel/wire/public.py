"""The records that users read: JSON, RFC 3339 instants, CloudEvents 1.0 attributes in headers.

Source: shared/api.md, "Kafka". One record per finished attempt (results), per final outcome (completions), per exhausted run
(dead letters) and per refusal.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
from msgspec import Raw, Struct
from msgspec.json import Decoder, Encoder

from squirrel.model.instants import format_instant
from squirrel.model.target import HttpTarget, KafkaTarget, Target

Headers = list[tuple[str, bytes]]


class AttemptError(Struct, frozen=True):
    """Why an attempt failed: a stable word (dns, connect, tls, timeout, protocol, status, ...) and a sentence."""

    type: str
    detail: str


class Result(Struct, gc=False, frozen=True, omit_defaults=True):
    """One finished attempt, as the executor saw it. Instants are RFC 3339 text; `body` is text, cut at the limit."""

    run: str
    schedule_id: str
    namespace: str
    event: str
    slot: str
    due: str
    emitted: str
    picked_up: str
    started: str
    finished: str
    attempt: int
    state: str  # succeeded, failed, sent, promised, deferred
    target: dict[str, Any]
    status: int | None = None
    headers: dict[str, str] = {}
    body: str = ""
    body_truncated: bool = False
    error: AttemptError | None = None
    # What the engine needs to decide what follows; harmless to others.
    finished_ms: int = 0
    started_ms: int = 0
    due_ms: int = 0
    slot_ms: int = 0
    stage: int = 0
    final: bool = False  # a failure that no retry can mend (4xx)
    gone: bool = False  # 410: the receiver wants nothing more of this schedule
    retry_after_ms: int | None = None
    replay_of: str | None = None
    retention_ms: int = 0


class Completion(Struct, gc=False, frozen=True, omit_defaults=True):
    """The final outcome of a run, said once. `state` is succeeded, failed, cancelled, skipped, missed or sent."""

    run: str
    schedule_id: str
    namespace: str
    event: str
    slot: str
    due: str
    state: str
    attempts: int
    finished: str
    reason: str = ""
    status: int | None = None
    replay_of: str | None = None
    tags: tuple[str, ...] = ()
    finished_ms: int = 0
    slot_ms: int = 0
    due_ms: int = 0
    retention_ms: int = 0
    stage: int = 0  # who answered: 0 the target, n its n-th fallback
    triggered_by: str = ""  # who asked for it by hand: a name, or the door it came through


class DeadLetter(Struct, gc=False, frozen=True, omit_defaults=True):
    """A run that used up its attempts, with all that a replay needs."""

    run: str
    schedule_id: str
    namespace: str
    event: str
    slot: str
    due: str
    attempts: int
    finished: str
    reason: str
    target: dict[str, Any] | None = None
    message: Raw = Raw(b"null")
    last: dict[str, Any] = {}
    slot_ms: int = 0
    retention_ms: int = 0


class RefusedRecord(Struct, frozen=True):
    """What could not be taken, where it stood, and the bytes themselves."""

    reason: str
    field: str
    detail: str
    received: dict[str, Any]  # topic, partition, offset
    value_base64: str
    truncated: bool = False


encode_public = Encoder().encode
decode_result = Decoder(Result).decode
decode_completion = Decoder(Completion).decode
decode_dead_letter = Decoder(DeadLetter).decode
decode_refused = Decoder(RefusedRecord).decode
_REFUSED_VALUE_BYTES_MAX = 512 * 1024  # base64 grows it by a third; the record must stay below the topic's limit


def refused_record(
    code: str, field: str, detail: str, received: tuple[str, int, int] | None, value: bytes | None
) -> bytes:
    """The JSON of a refusal; an oversized original is cut and says so."""
    topic, partition, offset = received or ("", -1, -1)
    original = value or b""
    return encode_public(
        RefusedRecord(
            reason=code,
            field=field,
            detail=detail,
            received={"topic": topic, "partition": partition, "offset": offset},
            value_base64=b64encode(original[:_REFUSED_VALUE_BYTES_MAX]).decode(),
            truncated=len(original) > _REFUSED_VALUE_BYTES_MAX,
        )
    )


def cloud_event_headers(kind: str, namespace: str, schedule_id: str, event_id: str, time_ms: int) -> Headers:
    """CloudEvents 1.0 Kafka binding, binary mode: `kind` is run.succeeded ... or attempt.finished."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", f"/squirrel/{namespace}".encode()),
        ("ce_subject", schedule_id.encode()),
        ("ce_type", f"squirrel.{kind}".encode()),
        ("ce_time", format_instant(time_ms).encode()),
        ("content-type", b"application/json"),
    ]


def target_summary(target: Target | None) -> dict[str, Any]:
    """What answers and results say of a target: where it is, never its headers."""
    if isinstance(target, HttpTarget):
        return {"type": "http", "url": target.url, "method": target.method}
    if isinstance(target, KafkaTarget):
        return {"type": "kafka", "topic": target.topic}
    if target is None:
        return {}
    return {"type": target.kind}


def raw_json(value: Any) -> bytes:
    """Compact JSON bytes of a plain value."""
    return orjson.dumps(value)

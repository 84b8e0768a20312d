"""Records as a consumer hands them over."""

from __future__ import annotations

from typing import Any, NamedTuple

from squirrel.model.ids import run_id
from squirrel.model.instants import format_instant
from squirrel.wire.public import AttemptError, Completion, DeadLetter, Result, encode_public

SLOT_MS = 1_800_000_000_000


class Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    value: bytes | None
    timestamp: int = SLOT_MS + 20


def result(schedule: str, number: int = 1, **more: Any) -> bytes:
    due_ms = SLOT_MS + (number - 1) * 1000
    fields: dict[str, Any] = {
        "run": run_id("default", schedule, SLOT_MS),
        "namespace": "default",
        "event": "mail.send",
        "slot": format_instant(SLOT_MS),
        "due": format_instant(due_ms),
        "emitted": format_instant(due_ms - 100),
        "picked_up": format_instant(due_ms - 98),
        "started": format_instant(due_ms + 1),
        "finished": format_instant(due_ms + 7),
        "state": "failed",
        "target": {"type": "http", "url": "https://a.example/x", "method": "POST"},
        "status": 503,
        "headers": {"x": "ü"},
        "body": "no 🐿️",
        "error": AttemptError("status", "answered 503"),
        "slot_ms": SLOT_MS,
        "due_ms": due_ms,
        "started_ms": due_ms + 1,
        "finished_ms": due_ms + 7,
        "retention_ms": 1000,
    }
    return encode_public(Result(schedule_id=schedule, attempt=number, **{**fields, **more}))


def completion(schedule: str, **more: Any) -> bytes:
    fields: dict[str, Any] = {
        "run": run_id("default", schedule, SLOT_MS),
        "namespace": "default",
        "event": "mail.send",
        "slot": format_instant(SLOT_MS),
        "due": format_instant(SLOT_MS),
        "state": "failed",
        "attempts": 1,
        "finished": format_instant(SLOT_MS + 7),
        "reason": "status: answered 503",
        "status": 503,
        "tags": ("a",),
    }
    return encode_public(Completion(schedule_id=schedule, **{**fields, **more}))


def dead_letter(schedule: str, **more: Any) -> bytes:
    fields: dict[str, Any] = {
        "run": run_id("default", schedule, SLOT_MS),
        "namespace": "default",
        "event": "mail.send",
        "slot": format_instant(SLOT_MS),
        "due": format_instant(SLOT_MS),
        "attempts": 1,
        "finished": format_instant(SLOT_MS + 7),
        "reason": "status: answered 503",
        "target": {"type": "http", "url": "https://a.example/x"},
    }
    return encode_public(DeadLetter(schedule_id=schedule, **{**fields, **more}))


def records(topic: str, *values: bytes | None, partition: int = 0, first: int = 0) -> list[Record]:
    return [Record(topic, partition, first + n, value) for n, value in enumerate(values)]

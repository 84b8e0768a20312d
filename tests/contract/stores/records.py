"""Records as the recorder would write them, short to say."""

from __future__ import annotations

import uuid
from typing import Any

from squirrel.model.ids import run_id
from squirrel.stores.history import AttemptRecord, CompletionRecord, DeadLetterRecord, HistoryBatch, LetterMark

SLOT_MS = 1_800_000_000_000
DAY_MS = 86_400_000


_namespaces = [""]


def new_namespace() -> str:
    """Called before each test: tests share a keyspace and nothing in it."""
    _namespaces[0] = f"n{uuid.uuid4().hex[:12]}"
    return _namespaces[0]


def own_namespace() -> str:
    return _namespaces[0]


def run_of(schedule: str, slot_ms: int, namespace: str | None = None) -> str:
    return run_id(namespace or own_namespace(), schedule, slot_ms)


def attempt(
    schedule: str, slot_ms: int = SLOT_MS, number: int = 1, state: str = "succeeded", **more: Any
) -> AttemptRecord:
    namespace = more.pop("namespace", None) or own_namespace()
    due_ms = slot_ms + (number - 1) * 1000
    fields: dict[str, Any] = {
        "run": run_of(schedule, slot_ms, namespace),
        "event": "mail.send",
        "due_ms": due_ms,
        "emitted_ms": due_ms - 100,
        "picked_up_ms": due_ms - 90,
        "started_ms": due_ms + 1,
        "finished_ms": due_ms + 5,
        "target": b'{"type":"http","url":"https://hooks.example.com:8443/a","method":"POST"}',
        "status": 200 if state == "succeeded" else 503,
        "headers": b'{"content-type":"text/plain"}',
        "body": f"answer {number}",
        "error_type": "" if state == "succeeded" else "status",
        "error_detail": "" if state == "succeeded" else "answered 503",
    }
    return AttemptRecord(
        namespace=namespace, schedule_id=schedule, number=number, slot_ms=slot_ms, state=state, **{**fields, **more}
    )


def completion(
    schedule: str, slot_ms: int = SLOT_MS, state: str = "succeeded", attempts: int = 1, **more: Any
) -> CompletionRecord:
    namespace = more.pop("namespace", None) or own_namespace()
    due_ms = slot_ms + max(0, attempts - 1) * 1000
    fields: dict[str, Any] = {
        "run": run_of(schedule, slot_ms, namespace),
        "event": "mail.send",
        "due_ms": due_ms,
        "finished_ms": due_ms + 5,
        "status": 200 if state == "succeeded" else 503,
    }
    return CompletionRecord(
        namespace=namespace,
        schedule_id=schedule,
        slot_ms=slot_ms,
        state=state,
        attempts_count=attempts,
        **{**fields, **more},
    )


def dead_letter(schedule: str, slot_ms: int = SLOT_MS, **more: Any) -> DeadLetterRecord:
    namespace = more.pop("namespace", None) or own_namespace()
    fields: dict[str, Any] = {
        "run": run_of(schedule, slot_ms, namespace),
        "event": "mail.send",
        "due_ms": slot_ms,
        "attempts_count": 4,
        "finished_ms": slot_ms + 5,
        "reason": "status: answered 503",
        "target": b'{"type":"http","url":"https://hooks.example.com/a"}',
        "message": b'{"n":1}',
        "last": b'{"status":503}',
    }
    return DeadLetterRecord(namespace=namespace, schedule_id=schedule, slot_ms=slot_ms, **{**fields, **more})


def mark(schedule: str, slot_ms: int = SLOT_MS, state: str = "discarded", **more: Any) -> LetterMark:
    namespace = more.pop("namespace", None) or own_namespace()
    fields: dict[str, Any] = {"marked_ms": slot_ms + 60_000, "reason": "a test order", "actor": "ops"}
    return LetterMark(namespace=namespace, run=run_of(schedule, slot_ms, namespace), state=state, **{**fields, **more})


def batch(*records: AttemptRecord | CompletionRecord | DeadLetterRecord | LetterMark) -> HistoryBatch:
    return HistoryBatch(
        attempts=tuple(each for each in records if isinstance(each, AttemptRecord)),
        completions=tuple(each for each in records if isinstance(each, CompletionRecord)),
        dead_letters=tuple(each for each in records if isinstance(each, DeadLetterRecord)),
        marks=tuple(each for each in records if isinstance(each, LetterMark)),
    )

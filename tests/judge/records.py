"""The lines of the judged files, as structs; unknown fields are ignored, absent ones have a default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import Struct


class Line(Struct):
    """One line of the ledger."""

    i: int
    mono_ns: int
    actor: str
    op: str
    type: str
    id: str
    value: dict[str, Any] | None = None


class Call(Struct):
    """One request as the target received it."""

    mono_ns: int
    wall_ms: int
    run: str
    attempt: int
    schedule_id: str
    due_ms: int
    body: Any = None
    status: int | None = None
    ended_ns: int | None = None
    content: str = ""  # a hash of the body's bytes, when the sink kept one

    @property
    def end_ns(self) -> int:
        return self.mono_ns if self.ended_ns is None else self.ended_ns

    @property
    def nonce(self) -> object:
        return self.body.get("nonce") if isinstance(self.body, dict) else None


class Fault(Struct):
    """One fault. `end_ns` is when it was healed, not when its consequences were over."""

    mono_ns: int
    end_ns: int
    kind: str
    target: str = ""
    jump_ms: int = 0  # of a clock that was set; below 0: set back


class Settings(Struct):
    """What bounds the judgement; the `end` line of final.jsonl may say otherwise."""

    epsilon_ms: int = 10_000  # E: everything owed is done this long after the last heal
    tolerance_ms: int = 1
    commit_interval_ms: int = 300
    session_timeout_ms: int = 10_000
    emit_ahead_ms: int = 100
    engine_batch: int = 2000
    seed: int = 0


@dataclass(slots=True)
class Op:
    """One call of the harness to the product, from its invoke to its end."""

    i: int
    actor: str
    op: str
    id: str
    asked: dict[str, Any]
    started_ns: int
    ended_ns: int | None = None  # None: nobody ever answered
    outcome: str = "info"  # ok, fail, info
    answer: dict[str, Any] | None = None

    @property
    def status(self) -> int | None:
        return (self.answer or {}).get("status")

    @property
    def is_done(self) -> bool:
        """Acknowledged as applied: a 202 is only stored."""
        return self.outcome == "ok" and self.status != 202


@dataclass(frozen=True, slots=True)
class Violation:
    """One promise that was not kept: which, of what, and the sentence."""

    invariant: str
    id: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.id}: {self.detail}"

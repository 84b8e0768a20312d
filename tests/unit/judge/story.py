"""A run told in milliseconds since its beginning, saved as the judge reads it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from tests.judge.history import History
from tests.judge.ledger import Ledger, Lines
from tests.judge.records import Violation

T0 = 1_800_000_000_000  # the wall at the beginning
NS = 1_000_000


class Story:
    """`story.create("a", at_ms=T0 + 5_000); story.call("a", 5_001); story.judged(i01_never_early)`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_ms = 0
        self._ledger = Ledger(folder / "ledger.jsonl", lambda: self.now_ms * NS)
        self.end: dict[str, Any] = {}

    def op(
        self,
        op: str,
        name: str,
        at: int,
        *,
        until: int | None = None,
        outcome: str = "ok",
        asked: dict[str, Any] | None = None,
        **answer: Any,
    ) -> None:
        """One call of the harness, from `at` to `until` (10 ms later)."""
        self.now_ms = at
        i = self._ledger.invoke("alice", op, name, asked or {})
        self.now_ms = at + 10 if until is None else until
        self._ledger.ended(i, outcome, answer)

    def create(self, name: str, at: int = 0, *, outcome: str = "ok", status: int = 201, **asked: Any) -> None:
        self.op("create", name, at, outcome=outcome, asked=asked, status=status, revision=1)

    def call(self, name: str, at: int, **fields: Any) -> None:
        """The target was called: run `<name>-1`, attempt 1, due just then, answered 200 after 5 ms unless told otherwise."""
        call: dict[str, Any] = {
            "mono_ns": at * NS,
            "wall_ms": T0 + at,
            "run": f"{name}-1",
            "attempt": 1,
            "schedule_id": name,
            "due_ms": T0 + at,
            "body": {"nonce": 1},
            "status": 200,
            "ended_ns": (at + 5) * NS,
        }
        self._append("sink.jsonl", {**call, **fields})

    def fault(self, kind: str, at: int, until: int, **fields: Any) -> None:
        self._append("faults.jsonl", {"mono_ns": at * NS, "end_ns": until * NS, "kind": kind, "target": kind, **fields})

    def tap(self, topic: str, **record: Any) -> None:
        self._append(f"taps/{topic}.jsonl", {"partition": 0, "offset": 0, **record})

    def completion(self, name: str, finished: int, *, state: str = "succeeded", **fields: Any) -> None:
        record = {
            "run": f"{name}-1",
            "schedule_id": name,
            "state": state,
            "slot_ms": T0 + finished,
            "finished_ms": T0 + finished,
        }
        self.tap("completions", **{**record, **fields})

    def final(self, what: str, **record: Any) -> None:
        self._append("final.jsonl", {"what": what, **record})

    def judged(self, invariant: ModuleType, end: int = 60_000) -> list[str]:
        """What the checker says of the story, as sentences."""
        return [str(violation) for violation in self.violations(invariant, end)]

    def violations(self, invariant: ModuleType, end: int = 60_000) -> list[Violation]:
        self.save(end)
        found: list[Violation] = invariant.check(History(self.folder))
        return found

    def save(self, end: int = 60_000) -> None:
        self.final("end", mono_ns=end * NS, wall_ms=T0 + end, **self.end)
        self._ledger.close()

    def _append(self, name: str, record: dict[str, Any]) -> None:
        with Lines(self.folder / name) as lines:
            lines.write(record)

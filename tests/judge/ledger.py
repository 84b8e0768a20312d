"""Writes the judged files as the run goes on: a line is in the file before the call it tells of goes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import orjson


class Lines:
    """JSON lines appended to one file; each is handed to the kernel at once, so a killed harness leaves whole ones."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab", buffering=0)

    def write(self, record: dict[str, Any]) -> None:
        self._file.write(orjson.dumps(record) + b"\n")

    def write_all(self, records: list[dict[str, Any]]) -> None:
        self._file.write(b"".join(orjson.dumps(record) + b"\n" for record in records))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Ledger:
    """`i = ledger.invoke(actor, op, schedule, asked)`, the call, then `ledger.ended(i, "ok", answer)`. `now_ns`: a clock."""

    def __init__(self, path: Path, now_ns: Callable[[], int]) -> None:
        self._lines = Lines(path)
        self._now_ns = now_ns
        self._open: dict[int, tuple[str, str, str]] = {}
        self._next = 0
        self.acknowledged = 0  # creates

    def invoke(self, actor: str, op: str, schedule: str, asked: dict[str, Any] | None = None) -> int:
        i, self._next = self._next, self._next + 1
        self._open[i] = (actor, op, schedule)
        self._lines.write(self._record(i, "invoke", actor, op, schedule, asked))
        return i

    def ended(self, i: int, outcome: str, answer: dict[str, Any] | None = None, *, schedule: str | None = None) -> None:
        """`outcome` is ok, fail or info; `schedule` when its id is known only now."""
        actor, op, asked_for = self._open.pop(i)
        self.acknowledged += op == "create" and outcome == "ok"
        self._lines.write(self._record(i, outcome, actor, op, schedule or asked_for, answer))

    def _record(
        self, i: int, kind: str, actor: str, op: str, schedule: str, value: dict[str, Any] | None
    ) -> dict[str, Any]:
        return {
            "i": i,
            "mono_ns": self._now_ns(),
            "actor": actor,
            "op": op,
            "type": kind,
            "id": schedule,
            "value": value,
        }

    def close(self) -> None:
        self._lines.close()

"""Loads a judged directory. What is small stays in memory; the taps are read as they are asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import orjson
from msgspec import convert
from msgspec.json import Decoder

from tests.judge.records import Call, Fault, Line, Op, Settings

T = TypeVar("T")


def lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a file; none when there is no such file. A last line without its end was cut by a kill: left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") and len(line) > 1:
                yield line


def decoded(path: Path, kind: type[T]) -> list[T]:
    decode = Decoder(kind).decode
    return [decode(line) for line in lines(path)]


class History:
    """All that the judge knows of one run. Every list is in order of time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ops = _ops(decoded(folder / "ledger.jsonl", Line))
        self.calls = sorted(decoded(folder / "sink.jsonl", Call), key=lambda call: call.mono_ns)
        self.faults = sorted(decoded(folder / "faults.jsonl", Fault), key=lambda fault: fault.mono_ns)
        self.final: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for line in lines(folder / "final.jsonl"):
            record = orjson.loads(line)
            self.final[record["what"]].append(record)
        end = self.final["end"][0]
        self.settings = convert(
            {key: value for key, value in end.items() if key in Settings.__struct_fields__}, Settings
        )
        self.end_ns: int = end["mono_ns"]
        self.end_wall_ms: int = end["wall_ms"]
        healed = max((fault.end_ns for fault in self.faults), default=0)
        self.last_heal_ns: int = end.get("last_heal_ns", healed)

    def tap(self, topic: str) -> Iterator[dict[str, Any]]:
        """The records of a topic, in order of each partition's offsets."""
        return (orjson.loads(line) for line in lines(self.folder / "taps" / f"{topic}.jsonl"))

    def has_tap(self, topic: str) -> bool:
        return (self.folder / "taps" / f"{topic}.jsonl").exists()

    def wall_ms(self, mono_ns: int) -> float:
        """The judge's wall clock at an instant of its monotonic one."""
        return self.end_wall_ms - (self.end_ns - mono_ns) / 1e6

    @property
    def cutoff_ms(self) -> float:
        """What was due before this must have happened."""
        return min(self.end_wall_ms, self.wall_ms(self.end_ns)) - self.settings.epsilon_ms

    @cached_property
    def calls_of(self) -> dict[str, list[Call]]:
        """By schedule id."""
        found: dict[str, list[Call]] = defaultdict(list)
        for call in self.calls:
            found[call.schedule_id].append(call)
        return dict(found)

    @cached_property
    def ops_of(self) -> dict[str, list[Op]]:
        """By schedule id."""
        found: dict[str, list[Op]] = defaultdict(list)
        for op in self.ops:
            found[op.id].append(op)
        return dict(found)

    @cached_property
    def completions(self) -> dict[str, tuple[str, str, int, int]]:
        """Of each run that is over: (schedule id, state, slot, finished). Repeats carry the same.

        Whether they do is I14's question. Here the one that finished last counts: another is of an owner that was replaced.
        """
        found: dict[str, tuple[str, str, int, int]] = {}
        for record in self.tap("completions"):
            finished_ms = record.get("finished_ms", 0)
            if record["run"] not in found or finished_ms >= found[record["run"]][3]:
                schedule, state = record["schedule_id"], record["state"]
                found[record["run"]] = schedule, state, record.get("slot_ms", 0), finished_ms
        return found

    @cached_property
    def unheard(self) -> dict[str, set[int]]:
        """By run: the attempts that failed without an answer. They may have ended before they reached the target."""
        found: dict[str, set[int]] = defaultdict(set)
        for record in self.tap("results"):
            if record["state"] == "failed" and record.get("status") is None:
                found[record["run"]].add(record["attempt"])
        return dict(found)

    @cached_property
    def runs_of(self) -> dict[str, dict[str, int]]:
        """By schedule id: each run that was called or completed, and its slot."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for run, (schedule, _, slot_ms, _) in self.completions.items():
            found[schedule][run] = slot_ms
        if self.has_tap("executions"):
            for record in self.tap("executions"):
                found[record["schedule"]].setdefault(record["run"], record["slot_ms"])
        for call in self.calls:
            if call.attempt == 1:
                found[call.schedule_id].setdefault(call.run, call.due_ms)
        return dict(found)

    @cached_property
    def final_schedules(self) -> dict[str, dict[str, Any]]:
        return {record["id"]: record for record in self.final["schedule"]}


def _ops(ledger: list[Line]) -> list[Op]:
    """Invokes with their ends, by start."""
    found: dict[int, Op] = {}
    for line in ledger:
        if line.type == "invoke":
            found[line.i] = Op(line.i, line.actor, line.op, line.id, line.value or {}, line.mono_ns)
        elif (op := found.get(line.i)) is not None:
            op.ended_ns, op.outcome, op.answer = line.mono_ns, line.type, line.value
            op.id = line.id or op.id
    return sorted(found.values(), key=lambda op: op.started_ns)

"""I14. State agrees with the log: rows on disk, the changelog replayed into nothing, and the derived keys are one thing.

One owner per partition; a run's state in the history is the one that its completion said, and all its completions say the same.

Two things excuse another completion: a cancel that nobody was told of, whose owner died before it logged it; and an owner that
stood still or was cut off with its words on the way (docs/guarantees.md, 9). The end of a process excuses nothing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tests.judge.history import History
from tests.judge.i04_bounded_repeats import HARMLESS
from tests.judge.records import Violation

NAME = "I14"
ENDINGS = ("kill", "exit", "terminate", "restart", "offsets")  # of processes: what they had said is said


def check(history: History) -> list[Violation]:
    found: list[Violation] = []
    states: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for record in history.final["state"]:
        states[record["partition"]].append(record)
    for partition, records in states.items():
        said = {record["source"]: f"{record['rows']} rows {str(record['digest'])[:12]}" for record in records}
        if len(set(said.values())) > 1:
            found.append(Violation(NAME, f"partition {partition}", f"the copies differ: {said}"))
    owners: dict[int, list[str]] = defaultdict(list)
    for record in history.final["owner"]:
        owners[record["partition"]].append(record["worker"])
    found.extend(
        Violation(NAME, f"partition {partition}", f"it has {len(workers)} owners: {workers}")
        for partition, workers in owners.items()
        if len(workers) != 1
    )
    for record in history.final["run"]:
        completion = history.completions.get(record["id"])
        if completion is not None and completion[1] != record["state"]:
            detail = f"{record['id']}: the history says {record['state']}, its completion {completion[1]}"
            found.append(Violation(NAME, record["schedule_id"], detail))
    return found + _one_truth(history)


def _one_truth(history: History) -> list[Violation]:
    said: dict[str, dict[str, int]] = defaultdict(dict)
    for record in history.tap("completions"):
        said[record["run"]][record["state"]] = record.get("finished_ms", 0)
    found = []
    for run, states in said.items():
        schedule = history.completions[run][0]
        if len(states) > 1 and not _untold_cancel(history, schedule, states) and not stalled(history, *states.values()):
            found.append(Violation(NAME, schedule, f"{run} ended as {' and as '.join(states)}"))
    return found


def _untold_cancel(history: History, schedule: str, states: dict[str, int]) -> bool:
    told = any(op.op == "cancel" and op.is_done for op in history.ops_of.get(schedule, []))
    return "cancelled" in states and not told


def stalled(history: History, *instants_ms: int) -> bool:
    """Somebody may have stood still or been cut off between these instants, or within a session of them."""
    since_ms = min(instants_ms) - history.settings.session_timeout_ms
    until_ms = max(instants_ms) + history.settings.session_timeout_ms
    return any(
        history.wall_ms(fault.mono_ns) <= until_ms and history.wall_ms(fault.end_ns) >= since_ms
        for fault in history.faults
        if not fault.kind.startswith((*HARMLESS, *ENDINGS))
    )

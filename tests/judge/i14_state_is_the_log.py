"""I14. State agrees with the log: rows on disk, the changelog replayed into nothing, and the derived keys are one thing.

One owner per partition; a run's state in the history is the one that its completion said.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tests.judge.history import History
from tests.judge.records import Violation

NAME = "I14"


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
    return found

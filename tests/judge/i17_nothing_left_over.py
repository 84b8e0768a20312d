"""I17. Nothing is left over: no lag, no open run that was due, no orphan key, no child that waits for a parent that is over."""

from __future__ import annotations

from typing import Any

from tests.judge.history import History
from tests.judge.lives import Life, lives_of
from tests.judge.records import Violation

NAME = "I17"
OPEN = frozenset({"scheduled", "in_flight", "retry_wait"})


def check(history: History) -> list[Violation]:
    found = [
        Violation(
            NAME, record["group"], f"{record['lag']} records of {record['topic']}-{record['partition']} are not read"
        )
        for record in history.final["lag"]
        if record["lag"] > 0
    ]
    found.extend(Violation(NAME, "store", record["detail"]) for record in history.final["orphan"])
    lives = lives_of(history)
    found.extend(
        Violation(NAME, record["schedule_id"], f"{record['id']} is still {record['state']}")
        for record in history.final["run"]
        if record["state"] in OPEN and record.get("due_ms", 0) < history.cutoff_ms and not _held(record, lives, history)
    )
    over = {schedule for schedule, _, _, _ in history.completions.values()}
    for life in lives.values():
        state = history.final_schedules.get(life.id, {}).get("state")
        if life.is_child and state == "waiting" and all(parent in over for parent, _ in life.asked["after"]):
            found.append(Violation(NAME, life.id, "it waits, and its parents are over"))
        if life.is_one_shot and state == "active" and life.slots_ms(history.cutoff_ms):
            found.append(Violation(NAME, life.id, "a one-shot is active after it was due"))
    return found


def _held(run: dict[str, Any], lives: dict[str, Life], history: History) -> bool:
    """A pause that stands at the end holds back what became due behind it."""
    life = lives.get(run["schedule_id"])
    return run["state"] != "in_flight" and life is not None and run["due_ms"] >= life.paused_ms(history)

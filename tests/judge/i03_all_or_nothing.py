"""I3. An indeterminate create is all or nothing: it is listed and fires, or neither. Nothing fires that nobody asked for."""

from __future__ import annotations

from tests.judge.history import History
from tests.judge.lives import lives_of
from tests.judge.records import Violation

NAME = "I3"


def check(history: History) -> list[Violation]:
    lives = lives_of(history)
    found = [
        Violation(NAME, schedule, f"{len(calls)} calls of a schedule that nobody created")
        for schedule, calls in history.calls_of.items()
        if schedule not in lives
    ]
    for life in lives.values():
        calls = history.calls_of.get(life.id, [])
        if life.create.outcome == "fail" and calls:
            found.append(Violation(NAME, life.id, f"its create was refused, and it was called {len(calls)} times"))
        if life.create.outcome != "info":
            continue
        final = history.final_schedules.get(life.id)
        if calls and final is not None and final["status"] == 404:
            found.append(Violation(NAME, life.id, "it was called and is not listed"))
        elif final is not None and final["status"] == 200 and not calls and not life.maybe_cancelled:
            owed = life.slots_ms(min(history.cutoff_ms, life.paused_ms(history)))
            if owed and not history.runs_of.get(life.id):
                found.append(Violation(NAME, life.id, "it is listed and was never called"))
    return found

"""I11. Clock jumps: no slot becomes two runs after a step back, nobody spins, and the group's membership is left alone.

That none is lost after a step forward is I2's, that none is early beyond the jump is I1's.
"""

from __future__ import annotations

from collections import defaultdict

from tests.judge.history import History
from tests.judge.lives import lives_of
from tests.judge.records import Violation

NAME = "I11"
CPU_SHARE_MAX = 0.5


def check(history: History) -> list[Violation]:
    if not any(fault.kind.startswith("clock") for fault in history.faults):
        return []
    lives = lives_of(history)
    runs: dict[tuple[str, int], set[str]] = defaultdict(set)
    for record in history.tap("executions"):
        life = lives.get(record["schedule"])
        if life is not None and not life.triggers and not record.get("replay_of"):
            runs[record["schedule"], record["slot_ms"]].add(record["run"])
    found = [
        Violation(NAME, schedule, f"the slot {slot} was emitted as {len(ids)} runs")
        for (schedule, slot), ids in runs.items()
        if len(ids) > 1
    ]
    for record in history.final["metric"]:
        service, name, value = record["service"], record["name"], record["value"]
        if name == "clock_fault_cpu_share" and value >= CPU_SHARE_MAX:
            found.append(Violation(NAME, service, f"it used {value:.0%} of a core while its clock was wrong"))
        if name == "clock_fault_rebalances" and value > 0:
            found.append(Violation(NAME, service, f"a wrong clock made {value:g} rebalances"))
    return found

"""I15. Refusals are complete: each bad record that was put in stands in `refused` with its topic, partition and offset.

That its neighbours are unharmed is I2's, that the committed offset passed it is I17's.
"""

from __future__ import annotations

from tests.judge.history import History
from tests.judge.records import Violation

NAME = "I15"


def check(history: History) -> list[Violation]:
    if not history.has_tap("refused"):
        return []
    refused = set()
    for record in history.tap("refused"):
        where = record["received"]
        refused.add((where["topic"], where["partition"], where["offset"]))
    found = []
    for op in history.ops:
        if op.op == "poison" and op.outcome == "ok":
            where = op.answer or {}
            key = (where["topic"], where["partition"], where["offset"])
            if key not in refused:
                found.append(
                    Violation(NAME, op.id, f"the bad record {key} was not refused: {op.asked.get('what', '')}")
                )
    return found

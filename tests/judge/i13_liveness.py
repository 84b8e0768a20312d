"""I13. Liveness: after the last heal all owed calls begin within E; memory, queues and open files stay within limits."""

from __future__ import annotations

from tests.judge.history import History
from tests.judge.i04_bounded_repeats import HARMLESS
from tests.judge.lives import Life, lives_of
from tests.judge.records import Violation

NAME = "I13"


def check(history: History) -> list[Violation]:
    epsilon_ms = history.settings.epsilon_ms
    heal_ms = history.wall_ms(history.last_heal_ns)
    lives = lives_of(history)
    found = []
    seen: set[tuple[str, int]] = set()
    before_ms: dict[str, float] = {}
    for call in history.calls:
        first = (call.run, call.attempt) not in seen
        seen.add((call.run, call.attempt))
        in_turn = _in_turn(lives.get(call.schedule_id))
        owed_ms = max(call.due_ms, heal_ms, before_ms.get(call.schedule_id, 0) if in_turn else 0)
        before_ms[call.schedule_id] = max(before_ms.get(call.schedule_id, 0), history.wall_ms(call.end_ns))
        late_ms = call.wall_ms - owed_ms
        if first and late_ms > epsilon_ms:
            detail = f"{call.run} attempt {call.attempt} began {late_ms:.0f} ms after it was due and all was healed"
            found.append(Violation(NAME, call.schedule_id, detail))
    found.extend(
        Violation(
            NAME, record["service"], f"{record['name']} reached {record['value']:g}, the limit is {record['limit']:g}"
        )
        for record in history.final["resource"]
        if record.get("limit") is not None and record["value"] > record["limit"]
    )
    return found


def _in_turn(life: Life | None) -> bool:
    """Whether what the schedule owes is made up for one by one: then a run is owed when the one before it is over."""
    return life is not None and "every_ms" in life.asked and life.asked.get("overlap", "skip") != "allow"


def recovery_ms(history: History) -> tuple[float, str]:
    """The longest wait of a call that fell due during a fault, from the heal of that fault, and the fault's kind.

    Of several faults at once, the last one that healed before the call began counts.
    """
    lives = lives_of(history)
    ended: dict[str, int] = {}
    longest, kind = 0.0, ""
    harmful = [fault for fault in history.faults if not fault.kind.startswith(HARMLESS)]
    heals = sorted((fault.end_ns, fault.mono_ns, fault.kind) for fault in harmful)
    seen: set[tuple[str, int]] = set()
    position = -1
    for call in history.calls:
        while position + 1 < len(heals) and heals[position + 1][0] <= call.mono_ns:
            position += 1
        if (call.run, call.attempt) in seen or position < 0:
            continue
        seen.add((call.run, call.attempt))
        healed_ns, _, name = heals[position]
        in_turn = ended.get(call.schedule_id, 0) > healed_ns and _in_turn(lives.get(call.schedule_id))
        ended[call.schedule_id] = call.end_ns
        if call.due_ms <= history.wall_ms(healed_ns) and not in_turn:
            waited_ms = (call.mono_ns - healed_ns) / 1e6
            if waited_ms > longest:
                longest, kind = waited_ms, name
    return longest, kind

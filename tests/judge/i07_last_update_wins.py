"""I7. The last acknowledged update wins: a call's body is that of the newest revision acknowledged before its emission, or of a
concurrent one; and revisions are a register that only grows with real time.
"""

from __future__ import annotations

from tests.judge.history import History
from tests.judge.lives import Life, lives_of
from tests.judge.records import Call, Op, Violation

NAME = "I7"


def check(history: History) -> list[Violation]:
    emitted = _emitted_ms(history)
    found: list[Violation] = []
    for life in lives_of(history).values():
        if not life.updates:
            continue
        found.extend(_register(life))
        seen: set[str] = set()
        for call in history.calls_of.get(life.id, []):
            if call.attempt == 1 and call.run not in seen:
                seen.add(call.run)
                found.extend(_judge(history, life, call, emitted.get(call.run)))
    return found


def _emitted_ms(history: History) -> dict[str, int]:
    """When each run was first emitted."""
    found: dict[str, int] = {}
    for record in history.tap("executions"):
        if record["attempt"] == 1:
            found[record["run"]] = min(record["emitted_ms"], found.get(record["run"], record["emitted_ms"]))
    return found


def _judge(history: History, life: Life, call: Call, emitted_ms: int | None) -> list[Violation]:
    ops = [life.create, *life.updates]
    carried = next((op for op in ops if op.asked.get("nonce") == call.nonce), None)
    if carried is None:
        return [Violation(NAME, life.id, f"{call.run} carries {call.nonce!r}, which nobody sent")]
    if carried.outcome == "fail":
        return [Violation(NAME, life.id, f"{call.run} carries revision {call.nonce!r}, which was refused")]
    if carried.started_ns > call.mono_ns:
        return [Violation(NAME, life.id, f"{call.run} carries {call.nonce!r} before it was sent")]
    if emitted_ms is None:
        emitted_ms = call.wall_ms - history.settings.emit_ahead_ms
    for other in life.updates:
        newer = carried.ended_ns is not None and other.started_ns > carried.ended_ns
        if other.is_done and newer and other.ended_ns is not None and history.wall_ms(other.ended_ns) < emitted_ms - 1:
            detail = f"{call.run} carries {call.nonce!r}, and {other.asked.get('nonce')!r} was acknowledged before its emission"
            return [Violation(NAME, life.id, detail)]
    return []


def _register(life: Life) -> list[Violation]:
    """Revisions are unique, and of two calls one after the other the later has the greater one."""
    done = [op for op in (life.create, *life.updates) if op.is_done and (op.answer or {}).get("revision") is not None]
    numbers: list[tuple[int, Op]] = [((op.answer or {})["revision"], op) for op in done]
    if len({number for number, _ in numbers}) < len(numbers):
        return [Violation(NAME, life.id, f"one revision for two updates: {sorted(number for number, _ in numbers)}")]
    greatest, by_end = 0, sorted(numbers, key=lambda pair: pair[1].ended_ns or 0)
    position = 0
    for number, op in sorted(numbers, key=lambda pair: pair[1].started_ns):
        while position < len(by_end) and (by_end[position][1].ended_ns or 0) < op.started_ns:
            greatest = max(greatest, by_end[position][0])
            position += 1
        if number < greatest:
            return [Violation(NAME, life.id, f"revision {number} was given after {greatest} had been acknowledged")]
    return []

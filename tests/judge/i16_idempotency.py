"""I16. One idempotency key, one schedule: equal creates have equal answers, and another content is refused."""

from __future__ import annotations

from collections import defaultdict

from tests.judge.history import History
from tests.judge.records import Op, Violation

NAME = "I16"


def check(history: History) -> list[Violation]:
    by_key: dict[str, list[Op]] = defaultdict(list)
    for op in history.ops:
        if op.op == "create" and op.asked.get("key"):
            by_key[op.asked["key"]].append(op)
    found: list[Violation] = []
    for key, ops in by_key.items():
        taken = [op for op in ops if op.outcome == "ok"]
        ids = {(op.answer or {}).get("id", op.id) for op in taken}
        if len(ids) > 1:
            found.append(Violation(NAME, key, f"one key made {len(ids)} schedules: {sorted(ids)[:3]}"))
        contents = {op.asked.get("content") for op in taken}
        if len(contents) > 1:
            found.append(Violation(NAME, key, "two different contents were accepted under one key"))
        revisions = {(op.answer or {}).get("created_at") for op in taken if op.status != 202}
        if len(revisions) > 1:
            found.append(Violation(NAME, key, "equal creates were answered with different schedules"))
    return found

"""What was asked of each schedule, and the oracle: which slots it therefore owes. Knows no rule but those the harness uses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from tests.judge.history import History
from tests.judge.records import Op


@dataclass(slots=True)
class Life:
    """The calls about one id, by kind, in order of their start."""

    id: str
    create: Op
    updates: list[Op] = field(default_factory=list)
    cancels: list[Op] = field(default_factory=list)
    pauses: list[Op] = field(default_factory=list)
    resumes: list[Op] = field(default_factory=list)
    triggers: list[Op] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        return self.create.outcome == "ok"

    @property
    def asked(self) -> dict[str, Any]:
        return self.create.asked

    @property
    def is_one_shot(self) -> bool:
        return "at_ms" in self.asked

    @property
    def is_child(self) -> bool:
        return bool(self.asked.get("after"))

    @property
    def maybe_cancelled(self) -> bool:
        return any(cancel.outcome != "fail" for cancel in self.cancels)

    def dues_ms(self) -> list[int]:
        """Every instant that a one-shot may have been given, newest last."""
        ops = [self.create, *(update for update in self.updates if update.outcome != "fail")]
        return [op.asked["at_ms"] for op in ops if "at_ms" in op.asked]

    def slots_ms(self, until_ms: float) -> list[int]:
        """The slots of a rule that fall before `until_ms`; one-shots: the newest instant asked for."""
        if self.is_one_shot:
            return [due for due in [max(self.dues_ms())] if due < until_ms]
        every_ms, start_ms = self.asked.get("every_ms"), self.asked.get("start_ms")
        if every_ms is None or start_ms is None:
            return []
        count = max(0, -(-int(until_ms - start_ms) // every_ms))
        return [start_ms + index * every_ms for index in range(min(count, self.asked.get("max_runs", count)))]

    def taken_ms(self, history: History) -> float:
        """When it was taken at the latest: a rule owes nothing from before that. Endless while nobody ever said."""
        return history.wall_ms(history.end_ns if self.create.ended_ns is None else self.create.ended_ns)

    def paused_ms(self, history: History) -> float:
        """From when it may stand paused for good. Endless, unless it ends so and a pause is known that no resume came behind.

        A pause that nobody answered for may be taken at any time after it was sent: behind a resume that was sent later, too.
        What fell due in a fault before it may still be owed when it is taken, and is then owed to whoever resumes.
        """
        if history.final_schedules.get(self.id, {}).get("state") != "paused":
            return float("inf")
        resumes = [resume.started_ns for resume in self.resumes if resume.outcome != "fail"]
        ended = [(pause, history.end_ns if pause.ended_ns is None else pause.ended_ns) for pause in self.pauses]
        lasting = [
            pause.started_ns
            for pause, ended_ns in ended
            if pause.outcome == "info" or (pause.outcome == "ok" and not any(each > ended_ns for each in resumes))
        ]
        if not lasting:
            return float("inf")
        since_ns = min(lasting)
        for fault in sorted(history.faults, key=lambda each: each.end_ns, reverse=True):
            if since_ns <= fault.end_ns + history.settings.epsilon_ms * 1_000_000:
                since_ns = min(since_ns, fault.mono_ns)
        return history.wall_ms(since_ns)


@lru_cache(maxsize=4)
def lives_of(history: History) -> dict[str, Life]:
    """By id. A second create of an id (a retry of an indeterminate one) counts as the first when that was not acknowledged.

    It was sent when the first of the same content was sent: that one may be what was taken.
    """
    found: dict[str, Life] = {}
    for op in history.ops:
        if op.op == "create":
            life = found.get(op.id)
            if life is None:
                found[op.id] = Life(op.id, op)
            elif op.outcome == "ok" and not life.accepted:
                sent_ns = life.create.started_ns if op.asked == life.create.asked else op.started_ns
                life.create = replace(op, started_ns=sent_ns)
        elif (life := found.get(op.id)) is not None:
            kinds = {
                "update": life.updates,
                "cancel": life.cancels,
                "pause": life.pauses,
                "resume": life.resumes,
                "trigger": life.triggers,
            }
            if op.op in kinds:
                kinds[op.op].append(op)
    return found

"""I6. Cancel wins or says that it lost: after 204 no run begins; 409 means that there is or will be a call.

A run whose first call had begun before the 204 may end, and be repeated by a crash; a one-shot that had been called before it was
cancelled must have made the answer a 409, unless its attempts had failed and it waited for another. After an indeterminate cancel
either is right. A run of a rule that was on its way to the executor when the rule was cancelled is called once more.
"""

from __future__ import annotations

from tests.judge.history import History
from tests.judge.lives import Life, lives_of
from tests.judge.records import Op, Violation

NAME = "I6"


def check(history: History) -> list[Violation]:
    return [
        violation
        for life in lives_of(history).values()
        for cancel in life.cancels
        for violation in _judge(history, life, cancel)
    ]


def _judge(history: History, life: Life, cancel: Op) -> list[Violation]:
    firsts: dict[str, int] = {}
    for call in history.calls_of.get(life.id, []):
        firsts.setdefault(call.run, call.mono_ns)
    if cancel.is_done and cancel.ended_ns is not None:
        late = [run for run, start_ns in firsts.items() if start_ns > cancel.ended_ns]
        if late and not life.is_one_shot:
            late = [run for run in late if not _on_its_way(history, run, cancel)]
        early = [run for run, start_ns in firsts.items() if start_ns < cancel.started_ns and not _waited(history, run)]
        if late:
            after_ms = (firsts[late[0]] - cancel.ended_ns) / 1e6
            return [Violation(NAME, life.id, f"{late[0]} began {after_ms:.0f} ms after its cancel was acknowledged")]
        if early and life.is_one_shot:
            return [Violation(NAME, life.id, f"{early[0]} had been called when its cancel was asked for and got 204")]
    if cancel.outcome == "fail" and cancel.status == 409 and not firsts:
        due = life.slots_ms(history.cutoff_ms) or life.is_child
        others = [each for each in life.cancels if each is not cancel and each.outcome != "fail"]
        if due and not others and not history.runs_of.get(life.id):
            return [Violation(NAME, life.id, "its cancel was answered 409, and it was never called")]
    return []


def _on_its_way(history: History, run: str, cancel: Op) -> bool:
    """It had been emitted when its rule was cancelled; the executor held it for its due instant."""
    asked_ms = history.wall_ms(cancel.ended_ns or 0)
    return any(record["run"] == run and record["emitted_ms"] <= asked_ms for record in history.tap("executions"))


def _waited(history: History, run: str) -> bool:
    """Its attempts had failed and it waited for the next, which the cancel took from it."""
    schedule, state, _, _ = history.completions.get(run, ("", "", 0, 0))
    calls = [call for call in history.calls_of.get(schedule, []) if call.run == run]
    failed = run in history.unheard or any(call.status is None or call.status >= 300 for call in calls)
    return state == "cancelled" and failed

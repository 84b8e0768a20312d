"""I1 to I5: each checker passes a good story and sees what is wrong with a bad one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.judge import (
    i01_never_early,
    i02_nothing_lost,
    i03_all_or_nothing,
    i04_bounded_repeats,
    i05_order,
)
from tests.judge.matching import unmatched
from tests.unit.judge.story import T0, Story


def test_i1_on_time(story: Story) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.call("a", 5_000)
    assert story.judged(i01_never_early) == []


@pytest.mark.parametrize("due", [T0 + 5_000, T0])  # what the call says of itself is not trusted
def test_i1_early(story: Story, due: int) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.call("a", 4_990, due_ms=due)
    assert story.judged(i01_never_early) == ["I1 a: a-1 attempt 1 was 10 ms early"]


@pytest.mark.parametrize(("jump", "broken"), [(20, 0), (5, 1)])
def test_i1_early_by_no_more_than_the_clock_jumped(story: Story, jump: int, broken: int) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.fault("clock-forward", 1_000, 4_000, jump_ms=jump)
    story.call("a", 4_990, due_ms=T0 + 5_000)
    assert len(story.judged(i01_never_early)) == broken


def test_i1_a_moved_one_shot_is_held_against_the_instant_its_body_stands_for(story: Story) -> None:
    story.create("a", at_ms=T0 + 9_000, nonce=1)
    story.op("update", "a", 100, asked={"at_ms": T0 + 5_000, "nonce": 2}, status=200)
    story.call("a", 5_000, body={"nonce": 2})
    story.call("a", 5_000, body={"nonce": 1})
    assert story.judged(i01_never_early) == ["I1 a: a-1 attempt 1 was 4000 ms early"]


def test_i2_called_skipped_and_not_yet_due(story: Story) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.call("a", 5_000)
    story.create("b", at_ms=T0 + 6_000)
    story.completion("b", 6_000, state="missed")
    story.create("c", at_ms=T0 + 55_000)  # within E of the end
    story.create("d", at_ms=T0 + 5_000)
    story.op("cancel", "d", 100, status=204)
    assert story.judged(i02_nothing_lost) == []


def test_i2_lost(story: Story) -> None:
    story.create("a", at_ms=T0 + 5_000)
    assert story.judged(i02_nothing_lost) == [f"I2 a: the slot {T0 + 5_000} was never called"]


def test_i2_a_completion_of_success_without_a_call_is_a_loss(story: Story) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.completion("a", 5_000)
    assert story.judged(i02_nothing_lost) == [f"I2 a: the slot {T0 + 5_000} was never called"]


def test_i2_a_gap_among_the_slots_of_a_rule(story: Story) -> None:
    story.create("a", every_ms=1_000, start_ms=T0 + 1_000, max_runs=3)
    story.call("a", 1_000)
    story.call("a", 3_000, run="a-3")
    assert story.judged(i02_nothing_lost) == [f"I2 a: the slot {T0 + 2_000} was never called"]


def test_i2_two_runs_of_one_slot_and_a_run_of_none(story: Story) -> None:
    story.create("a", every_ms=1_000, start_ms=T0 + 1_000, max_runs=1)
    story.call("a", 1_000)
    story.call("a", 1_001, run="a-2", due_ms=T0 + 1_000)
    story.call("a", 1_500, run="a-3")
    said = story.judged(i02_nothing_lost)
    assert [line.split(":")[1].strip() for line in said] == [
        "more than one run for one slot",
        "runs of slots that nobody asked for",
    ]


def test_i2_ids_that_lie_are_seen_by_the_times(story: Story) -> None:
    story.create("a", every_ms=1_000, start_ms=T0 + 1_000, max_runs=2)
    story.call("a", 1_000)
    story.tap("executions", run="a-2", schedule="a", slot_ms=T0 + 2_000)
    story.call("a", 1_000, run="a-2", due_ms=T0 + 2_000)  # called once too early for its slot: no time fits it
    assert story.judged(i02_nothing_lost) == ["I2 a: ids say 0 lost, times say 1: the ids lie"]


def test_windows_take_the_point_that_others_cannot_use() -> None:
    assert unmatched([(0, 10), (0, 3)], [2, 9]) == []
    assert unmatched([(0, 10), (0, 3)], [2]) == [(0, 10)]
    assert unmatched([(0, 10), (5, 6), (20, 30)], [1, 7]) == [(5, 6), (20, 30)]
    assert unmatched([(0, 1)], []) == [(0, 1)]


@pytest.mark.parametrize("listed", [True, False])
def test_i3_all_or_nothing(story: Story, listed: bool) -> None:
    story.create("a", at_ms=T0 + 5_000, outcome="info", status=503)
    story.final("schedule", id="a", status=200 if listed else 404, state="finished")
    if listed:
        story.call("a", 5_000)
    assert story.judged(i03_all_or_nothing) == []


def test_i3_listed_and_never_called(story: Story) -> None:
    story.create("a", at_ms=T0 + 5_000, outcome="info", status=503)
    story.final("schedule", id="a", status=200, state="active")
    assert story.judged(i03_all_or_nothing) == ["I3 a: it is listed and was never called"]
    assert story.judged(i02_nothing_lost) == [f"I2 a: the slot {T0 + 5_000} was never called"]


def test_i3_called_and_not_listed_and_not_asked_for(story: Story) -> None:
    story.create("a", at_ms=T0 + 5_000, outcome="info", status=503)
    story.final("schedule", id="a", status=404)
    story.call("a", 5_000)
    story.create("b", at_ms=T0 + 5_000, outcome="fail", status=422)
    story.call("b", 5_000)
    story.call("c", 5_000)
    assert [line.split(":")[0] for line in story.judged(i03_all_or_nothing)] == ["I3 c", "I3 a", "I3 b"]


def _called_twice(story: Story, **second: Any) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.call("a", 5_000)
    story.call("a", 9_000, due_ms=T0 + 5_000, **second)


def test_i4_a_repeat_with_a_fault_around_it(story: Story) -> None:
    _called_twice(story)
    story.fault("kill-executor", 5_001, 6_000)
    assert story.judged(i04_bounded_repeats) == []


@pytest.mark.parametrize(("kind", "at"), [("kill-executor", 25_000), ("cassandra-kill", 5_000)])
def test_i4_a_repeat_without_one(story: Story, kind: str, at: int) -> None:
    _called_twice(story)
    story.fault(kind, at, at + 1_000)
    assert story.judged(i04_bounded_repeats)[0] == "I4 a: a-1 attempt 1 was called 2 times with 0 faults around it"


@pytest.mark.parametrize("second", [{"body": {"nonce": 2}}, {"schedule_id": "b"}, {"content": "other"}])
def test_i4_a_repeat_is_the_same(story: Story, second: dict[str, Any]) -> None:
    _called_twice(story, **second)
    story.fault("kill-executor", 5_001, 6_000)
    assert len(story.judged(i04_bounded_repeats)) == 1


def test_i4_more_repeats_than_were_open(story: Story) -> None:
    story.end["engine_batch"] = 0
    _called_twice(story)
    story.fault("kill-executor", 8_000, 8_500)
    assert story.judged(i04_bounded_repeats) == ["I4 *: 1 repeats, where 0 can be explained"]


def test_i5_in_turn(story: Story) -> None:
    story.create("a", every_ms=1_000, start_ms=T0 + 1_000)
    story.call("a", 1_000)
    story.call("a", 1_500, run="a-1", attempt=2, ended_ns=1_900_000_000)
    story.call("a", 2_000, run="a-2")
    assert story.judged(i05_order) == []


def test_i5_a_later_slot_first(story: Story) -> None:
    story.create("a", every_ms=1_000, start_ms=T0 + 1_000)
    story.call("a", 2_000, run="a-2")
    story.call("a", 2_100, due_ms=T0 + 1_000)
    assert story.judged(i05_order) == ["I5 a: a-1 was called after a-2, whose slot is later"]


@pytest.mark.parametrize(("overlap", "broken"), [("queue", 1), ("skip", 1), ("allow", 0)])
def test_i5_side_by_side(story: Story, overlap: str, broken: int) -> None:
    story.create("a", every_ms=1_000, start_ms=T0 + 1_000, overlap=overlap)
    story.call("a", 1_000, ended_ns=2_500_000_000)
    story.call("a", 2_000, run="a-2")
    assert len(story.judged(i05_order)) == broken


@pytest.mark.parametrize(("created", "broken"), [(0, 1), (4_990, 0)])
def test_i5_a_group_is_emitted_by_due_time(story: Story, created: int, broken: int) -> None:
    story.create("a", group="g", at_ms=T0 + 5_000)
    story.create("b", created, group="g", at_ms=T0 + 4_000)
    for schedule, due in (("a", 5_000), ("b", 4_000)):
        record = {"run": schedule, "schedule": schedule, "attempt": 1, "due_ms": T0 + due, "emitted_ms": T0 + 4_995}
        story.tap("executions", **record)
    assert len(story.judged(i05_order)) == broken


def test_i2_an_attempt_that_never_came_to_the_target_was_made(story: Story) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.completion("a", 5_000, state="failed")
    assert len(story.judged(i02_nothing_lost)) == 1
    story.tap("results", run="a-1", attempt=1, state="failed")
    assert story.judged(i02_nothing_lost) == []

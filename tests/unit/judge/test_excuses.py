"""What the judge excuses, and no further: each excuse beside the case that it must not cover."""

from __future__ import annotations

import pytest

from tests.judge import i06_cancel_wins_or_loses, i08_retries_exact, i09_child_once, i10_missed_exact
from tests.unit.judge.story import T0, Story


@pytest.mark.parametrize(
    ("status", "state", "broken"), [(500, "cancelled", 0), (500, "succeeded", 1), (200, "cancelled", 1)]
)
def test_i6_a_cancel_between_two_attempts_takes_the_rest(story: Story, status: int, state: str, broken: int) -> None:
    story.create("a", at_ms=T0 + 5_000, max_retries=3, fails=3)
    story.call("a", 5_000, status=status)
    story.op("cancel", "a", 6_000, status=204)
    story.completion("a", 6_000, state=state)
    assert len(story.judged(i06_cancel_wins_or_loses)) == broken


@pytest.mark.parametrize(("emitted", "broken"), [(900, 0), (1_100, 1)])
def test_i6_what_was_on_its_way_when_its_rule_was_cancelled(story: Story, emitted: int, broken: int) -> None:
    story.create("a", every_ms=1_000, start_ms=T0 + 1_000)
    story.tap("executions", run="a-1", schedule="a", attempt=1, slot_ms=T0 + 1_000, emitted_ms=T0 + emitted)
    story.op("cancel", "a", 930, status=204)
    story.call("a", 1_000)
    assert len(story.judged(i06_cancel_wins_or_loses)) == broken


@pytest.mark.parametrize(("state", "broken"), [("deferred", 0), ("succeeded", 1)])
def test_i8_what_a_breaker_deferred_has_a_number_and_no_call(story: Story, state: str, broken: int) -> None:
    story.create("a", at_ms=T0 + 5_000, max_retries=1, fails=0)
    story.tap("results", run="a-1", attempt=1, state=state)
    story.tap("results", run="a-1", attempt=2, state="succeeded")
    story.call("a", 9_000, attempt=2)
    assert len(story.judged(i08_retries_exact)) == broken


@pytest.mark.parametrize(("kind", "broken"), [("clock", 0), ("kill", 1)])
def test_i8_a_wrong_clock_makes_a_wait_shorter(story: Story, kind: str, broken: int) -> None:
    story.create("a", at_ms=T0 + 5_000, max_retries=1, fails=1, wait_ms=1_000)
    story.fault(kind, 4_000, 6_000)
    story.call("a", 5_000, status=500)
    story.call("a", 5_300, attempt=2)
    assert len(story.judged(i08_retries_exact)) == broken


@pytest.mark.parametrize(
    ("state", "fault", "broken"),
    [("skipped", "kill", 1), ("missed", "kill", 1), ("succeeded", "cut", 1), ("skipped", "cut", 0)],
)
def test_i8_only_a_stall_lets_a_run_be_called_that_was_given_up(
    story: Story, state: str, fault: str, broken: int
) -> None:
    story.create("a", every_ms=1_000, start_ms=T0 + 5_000, max_retries=1, fails=1)
    story.call("a", 5_000, status=500)
    story.completion("a", 5_000, state=state)
    story.fault(fault, 4_000, 6_000)
    assert len(story.judged(i08_retries_exact)) == broken


@pytest.mark.parametrize(("state", "broken"), [("cancelled", 0), ("", 1)])
def test_i9_a_cancelled_parent_is_over_too(story: Story, state: str, broken: int) -> None:
    story.create("p", at_ms=T0 + 5_000)
    story.create("c", after=[["p", "completion"]])
    if state:
        story.completion("p", 4_000, state=state)
    story.call("c", 4_010)
    assert len(story.judged(i09_child_once)) == broken


@pytest.mark.parametrize(("jump", "broken"), [(200, 0), (50, 1)])
def test_i9_a_clock_that_was_ahead_makes_a_child_early_by_its_jump(story: Story, jump: int, broken: int) -> None:
    story.create("p", at_ms=T0 + 5_000)
    story.create("c", after=[["p", "completion"]])
    story.fault("clock", 4_000, 6_000, jump_ms=jump)
    story.completion("p", 5_100)
    story.call("c", 5_000)
    assert len(story.judged(i09_child_once)) == broken


@pytest.mark.parametrize(("overlap", "broken"), [("skip", 0), ("allow", 1)])
def test_i10_the_last_slot_of_a_pause_may_fall_to_the_overlap_policy(story: Story, overlap: str, broken: int) -> None:
    story.create("a", every_ms=2_000, start_ms=T0 + 2_000, max_runs=3, missed="run_last", overlap=overlap)
    story.call("a", 2_000)
    story.op("pause", "a", 2_500, status=200)
    story.op("resume", "a", 5_500, status=200)
    story.completion("a", 5_510, state="skipped", run="a-2", slot_ms=T0 + 4_000)
    assert len(story.judged(i10_missed_exact)) == broken

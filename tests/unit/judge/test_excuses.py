"""What the judge excuses, and no further: each excuse beside the case that it must not cover."""

from __future__ import annotations

import pytest

from tests.judge import (
    i02_nothing_lost,
    i03_all_or_nothing,
    i06_cancel_wins_or_loses,
    i07_last_update_wins,
    i08_retries_exact,
    i09_child_once,
    i10_missed_exact,
    i17_nothing_left_over,
)
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


def _ends_paused(story: Story, pauses: list[tuple[int, str]], resumes: list[int]) -> None:
    """Slots at 2,000, 4,000, … 10,000; the first is called."""
    story.create("a", every_ms=2_000, start_ms=T0 + 2_000, max_runs=5)
    story.call("a", 2_000, run="a-2000")
    for at, outcome in pauses:
        story.op("pause", "a", at, outcome=outcome, status=200 if outcome == "ok" else 503)
    for at in resumes:
        story.op("resume", "a", at, status=200)
    story.final("schedule", id="a", status=200, state="paused")


@pytest.mark.parametrize(
    ("pauses", "resumes", "lost"),
    [
        ([(3_000, "info")], [5_000], []),  # nobody knows when it was taken: behind the resume, it seems
        ([(3_000, "ok")], [], []),
        ([(7_000, "info")], [], [4_000, 6_000]),  # what came before it is owed
        ([(3_000, "ok")], [5_000], [4_000, 6_000, 8_000, 10_000]),  # it was resumed, and is paused all the same
        ([(3_000, "fail")], [], [4_000, 6_000, 8_000, 10_000]),
    ],
)
def test_i2_a_pause_that_nobody_answered_for_may_be_the_last_word(
    story: Story, pauses: list[tuple[int, str]], resumes: list[int], lost: list[int]
) -> None:
    _ends_paused(story, pauses, resumes)
    assert story.judged(i02_nothing_lost) == [f"I2 a: the slot {T0 + slot} was never called" for slot in lost]


@pytest.mark.parametrize(("begun", "healed", "lost"), [(3_000, 6_000, []), (3_000, 3_500, [4_000])])
def test_i2_what_fell_due_in_a_fault_before_it_stays_owed(
    story: Story, begun: int, healed: int, lost: list[int]
) -> None:
    story.end = {"epsilon_ms": 1_000}
    story.fault("broker", begun, healed)
    _ends_paused(story, [(5_000, "ok")], [])
    assert story.judged(i02_nothing_lost) == [f"I2 a: the slot {T0 + slot} was never called" for slot in lost]


@pytest.mark.parametrize(("state", "broken"), [("paused", 0), ("active", 1)])
def test_i3_a_rule_that_stands_paused_is_not_called(story: Story, state: str, broken: int) -> None:
    story.create("a", outcome="info", status=503, every_ms=2_000, start_ms=T0 + 4_000, max_runs=5)
    story.op("pause", "a", 1_000, outcome="info", status=503)
    story.final("schedule", id="a", status=200, state=state)
    assert len(story.judged(i03_all_or_nothing)) == broken


@pytest.mark.parametrize(("nonce", "broken"), [(1, 0), (9, 1)])
def test_i7_a_create_that_was_sent_again_was_sent_when_it_was_sent_first(story: Story, nonce: int, broken: int) -> None:
    asked = {"at_ms": T0 + 5_000, "nonce": 1}
    story.op("create", "a", 0, until=4_000, outcome="info", asked=asked, status=503)
    story.op("update", "a", 4_100, outcome="info", asked={"nonce": 2}, status=503)
    story.call("a", 5_000, body={"nonce": 1})
    story.op("create", "a", 6_000, asked={**asked, "nonce": nonce}, status=201, revision=1)
    assert len(story.judged(i07_last_update_wins)) == broken


@pytest.mark.parametrize("policy", ["skip", "run_last"])
@pytest.mark.parametrize(
    ("jump", "until", "broken"),
    [(-2_000, 10_500, 0), (-2_000, 2_000, 1), (-200, 10_500, 1), (0, 10_500, 1)],
)
def test_i10_a_clock_that_was_behind_ended_the_pause_before(
    story: Story, policy: str, jump: int, until: int, broken: int
) -> None:
    """By the engine's clock the resume at 11,000 came at 9,000 or later: the slot at 8,000 was within its grace, or the last."""
    story.create("a", every_ms=2_000, start_ms=T0 + 2_000, max_runs=6, missed=policy)
    story.op("pause", "a", 3_000, status=200)
    story.op("resume", "a", 11_000, status=200)
    story.fault("clock", 1_000, until, jump_ms=jump)
    for slot in (2_000, 8_000, 10_000, 12_000):
        story.call("a", max(slot, 11_000), run=f"a-{slot}", due_ms=T0 + slot)
        story.tap("executions", run=f"a-{slot}", schedule="a", slot_ms=T0 + slot, attempt=1)
    for slot in (4_000, 6_000):
        story.completion("a", 11_050, run=f"a-{slot}", state="skipped", slot_ms=T0 + slot)
    assert len(story.judged(i10_missed_exact)) == broken


@pytest.mark.parametrize(("jump", "seconds", "broken"), [(900, 1, 0), (5_000, 4, 1), (5_000, 6, 0), (0, 4, 1)])
def test_i10_a_clock_that_was_ahead_ended_the_pause_behind(story: Story, jump: int, seconds: int, broken: int) -> None:
    """The slot at 8,400 was the last one by the engine's clock, and that before it was skipped. A large step is doubted."""
    story.create("a", every_ms=2_000, start_ms=T0 + 2_400, max_runs=6, missed="run_last", overlap="queue")
    story.op("pause", "a", 3_000, status=200)
    story.op("resume", "a", 7_900, status=200)
    story.fault("clock", 7_000, 7_000 + 1000 * seconds, jump_ms=jump)
    for slot in (2_400, 8_400, 10_400, 12_400):
        story.call("a", slot, run=f"a-{slot}")
        story.tap("executions", run=f"a-{slot}", schedule="a", slot_ms=T0 + slot, attempt=1)
    for slot in (4_400, 6_400):
        story.completion("a", 8_000, run=f"a-{slot}", state="skipped", slot_ms=T0 + slot)
    assert len(story.judged(i10_missed_exact)) == broken


@pytest.mark.parametrize(
    ("outcome", "state", "ended", "due", "broken"),
    [
        ("info", "retry_wait", "paused", 9_000, 0),  # taken behind the resume, which nobody could know
        ("info", "in_flight", "paused", 9_000, 1),
        ("info", "retry_wait", "active", 9_000, 1),
        ("info", "retry_wait", "paused", 3_000, 1),
        ("fail", "retry_wait", "paused", 9_000, 1),
    ],
)
def test_i17_a_pause_at_the_end_holds_what_was_due_behind_it(
    story: Story, outcome: str, state: str, ended: str, due: int, broken: int
) -> None:
    story.create("a", every_ms=1_000, start_ms=T0 + 1_000)
    story.op("pause", "a", 4_000, outcome=outcome)
    story.op("resume", "a", 5_000, status=200)
    story.final("schedule", id="a", status=200, state=ended)
    story.final("run", id="a-1", schedule_id="a", state=state, due_ms=T0 + due)
    assert len(story.judged(i17_nothing_left_over)) == broken

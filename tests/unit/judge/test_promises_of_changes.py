"""I6 to I12 and I16: what clients are told, retries, children, missed slots."""

from __future__ import annotations

import pytest

from tests.judge import (
    i06_cancel_wins_or_loses,
    i07_last_update_wins,
    i08_retries_exact,
    i09_child_once,
    i10_missed_exact,
    i11_clock_jumps,
    i12_read_your_writes,
    i16_idempotency,
)
from tests.unit.judge.story import NS, T0, Story


@pytest.mark.parametrize(
    ("cancelled", "called", "broken"),
    [(1_000, None, 0), (1_000, 5_000, 1), (6_000, 5_000, 1)],
)
def test_i6_204(story: Story, cancelled: int, called: int | None, broken: int) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.op("cancel", "a", cancelled, status=204)
    if called is not None:
        story.call("a", called)
    assert len(story.judged(i06_cancel_wins_or_loses)) == broken


def test_i6_of_a_rule_what_had_begun_may_be_repeated(story: Story) -> None:
    story.create("a", every_ms=1_000, start_ms=T0 + 1_000)
    story.call("a", 1_000)
    story.op("cancel", "a", 1_500, status=204)
    story.call("a", 3_000, due_ms=T0 + 1_000)
    assert story.judged(i06_cancel_wins_or_loses) == []


@pytest.mark.parametrize("called", [True, False])
def test_i6_409(story: Story, called: bool) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.op("cancel", "a", 4_980, outcome="fail", status=409)
    if called:
        story.call("a", 5_000)
    assert len(story.judged(i06_cancel_wins_or_loses)) == (not called)


def _updated(story: Story, *, at: int, until: int, emitted: int, nonce: object) -> None:
    story.create("a", at_ms=T0 + 5_000, nonce=1)
    story.op("update", "a", at, until=until, asked={"nonce": 2}, status=200, revision=2)
    story.tap("executions", run="a-1", schedule="a", attempt=1, slot_ms=T0 + 5_000, emitted_ms=T0 + emitted)
    story.call("a", 5_000, body={"nonce": nonce})


@pytest.mark.parametrize(
    ("until", "nonce", "broken"),
    [(1_000, 2, 0), (1_000, 1, 1), (4_950, 1, 0), (4_950, 2, 0), (1_000, 7, 1)],
)
def test_i7_the_body_is_of_the_last_acknowledged_update(story: Story, until: int, nonce: object, broken: int) -> None:
    _updated(story, at=900, until=until, emitted=4_900, nonce=nonce)
    assert len(story.judged(i07_last_update_wins)) == broken


@pytest.mark.parametrize(("revision", "broken"), [(3, 0), (2, 1), (1, 1)])
def test_i7_revisions_grow(story: Story, revision: int, broken: int) -> None:
    story.create("a", at_ms=T0 + 5_000, nonce=1)
    story.op("update", "a", 100, asked={"nonce": 2}, status=200, revision=2)
    story.op("update", "a", 200, asked={"nonce": 3}, status=200, revision=revision)
    assert len(story.judged(i07_last_update_wins)) == broken


def _attempts(story: Story, numbers: list[int], *, fails: int = 2, retries: int = 3, wait: int = 1_000) -> None:
    story.create("a", at_ms=T0 + 1_000, fails=fails, max_retries=retries, wait_ms=1_000, jitter=0.1)
    for position, number in enumerate(numbers):
        story.call("a", 1_000 + position * (wait + 5), attempt=number, status=500 if number <= fails else 200)


def test_i8_as_often_as_it_failed(story: Story) -> None:
    _attempts(story, [1, 2, 3])
    assert story.judged(i08_retries_exact) == []


@pytest.mark.parametrize(
    ("numbers", "retries", "said"),
    [
        ([1, 2], 3, "was attempted 2 times, 3 are owed"),
        ([1, 3], 3, "are numbered [1, 3]"),
        ([1, 2, 3, 4], 3, "although attempt 3 had not failed"),
        ([1, 2, 3], 1, "was attempted 3 times, 2 are allowed"),
    ],
)
def test_i8_not_as_often(story: Story, numbers: list[int], retries: int, said: str) -> None:
    _attempts(story, numbers, retries=retries)
    story.tap("results", run="a-1", attempt=1, state="failed")
    assert any(said in line for line in story.judged(i08_retries_exact))


def test_i8_an_answer_that_a_fault_kept_from_the_caller(story: Story) -> None:
    _attempts(story, [1, 2], fails=0)
    story.tap("results", run="a-1", attempt=1, state="failed")
    assert story.judged(i08_retries_exact) == []


def test_i8_too_soon(story: Story) -> None:
    _attempts(story, [1, 2, 3], wait=500)
    assert story.judged(i08_retries_exact) == ["I8 a: attempt 2 of a-1 came after 500 ms"]


@pytest.mark.parametrize(("finished", "broken"), [(2_000, 0), (2_500, 1)])
def test_i8_a_hang_up_counts_from_when_its_caller_gave_up(story: Story, finished: int, broken: int) -> None:
    story.create("a", at_ms=T0 + 1_000, fails=9, max_retries=1)
    story.call("a", 1_000, status=None, ended_ns=2_700 * NS)  # a busy sink saw the closed connection late
    story.tap("results", run="a-1", attempt=1, state="failed", finished_ms=T0 + finished)
    story.call("a", 3_000, attempt=2, status=None, ended_ns=None)
    assert len(story.judged(i08_retries_exact)) == broken


@pytest.mark.parametrize(("state", "letters", "broken"), [("failed", 1, 0), ("failed", 0, 1), ("succeeded", 1, 1)])
def test_i8_dead_letters(story: Story, state: str, letters: int, broken: int) -> None:
    _attempts(story, [1, 2], fails=9, retries=1)
    story.completion("a", 2_100, state=state)
    for _ in range(letters * 2):  # a repeat of the same is one
        story.tap("dead-letters", run="a-1", attempts=2)
    if not letters:
        story.tap("dead-letters", run="b-1", attempts=2)
    assert len(story.judged(i08_retries_exact)) == broken


def _family(story: Story, outcome: str = "succeeded") -> None:
    story.create("p", at_ms=T0 + 1_000)
    story.call("p", 1_000)
    story.completion("p", 1_010, state=outcome)
    story.create("c", after=[["p", "success"]], delay_ms=500)


def test_i9_once(story: Story) -> None:
    _family(story)
    story.call("c", 1_510)
    assert story.judged(i09_child_once) == []


def test_i9_never_early_twice_or_after_another_outcome(story: Story) -> None:
    _family(story)
    assert story.judged(i09_child_once) == ["I9 c: its parents are over and it never ran"]
    story.call("c", 1_400)
    assert story.judged(i09_child_once) == ["I9 c: it ran 110 ms before it was released"]
    story.call("c", 1_600, run="c-2")
    assert story.judged(i09_child_once) == ["I9 c: 2 runs of one release: ['c-1', 'c-2']"]


def test_i9_another_outcome(story: Story) -> None:
    _family(story, "failed")
    story.call("c", 1_510)
    assert story.judged(i09_child_once) == ["I9 c: it ran although its parents' outcome is another"]


def _paused(story: Story, policy: str, called: list[int], *, silent: bool = False) -> None:
    """Slots each 2 s from 2,000; a pause from 3,000 to 11,000, so 4, 6, 8 and 10 are owed and 10 is within the grace."""
    story.create("a", every_ms=2_000, start_ms=T0 + 2_000, max_runs=6, missed=policy)
    story.op("pause", "a", 3_000, status=200)
    story.op("resume", "a", 11_000, status=200)
    for slot in (2_000, 12_000):
        story.call("a", slot, run=f"a-{slot}")
    for slot in (4_000, 6_000, 8_000, 10_000):
        story.tap("executions", run=f"a-{slot}", schedule="a", slot_ms=T0 + slot, attempt=1)
        if slot in called:
            story.call("a", 11_100, run=f"a-{slot}", due_ms=T0 + slot)
        elif not silent:
            story.completion("a", 11_050, run=f"a-{slot}", state="skipped", slot_ms=T0 + slot)


@pytest.mark.parametrize(
    ("policy", "called", "broken"),
    [
        ("run_all", [4_000, 6_000, 8_000, 10_000], 0),
        ("run_all", [4_000, 8_000, 10_000], 1),
        ("run_last", [10_000], 0),
        ("run_last", [8_000, 10_000], 1),
        ("skip", [], 0),
        ("skip", [6_000], 1),
    ],
)
def test_i10_policies(story: Story, policy: str, called: list[int], broken: int) -> None:
    _paused(story, policy, called)
    assert len(story.judged(i10_missed_exact)) == broken


def test_i10_a_slot_that_is_skipped_says_so(story: Story) -> None:
    _paused(story, "skip", [], silent=True)
    assert "no completion that says so" in story.judged(i10_missed_exact)[0]


def test_i10_a_pause_without_a_slot(story: Story) -> None:
    story.create("a", every_ms=2_000, start_ms=T0 + 2_000, max_runs=1)
    story.op("pause", "a", 3_000, status=200)
    story.op("resume", "a", 11_000, status=200)
    assert story.judged(i10_missed_exact) == []


def test_i10_the_preview_keeps_its_word(story: Story) -> None:
    _paused(story, "run_all", [4_000, 6_000, 8_000, 10_000])
    story.op("preview_resume", "a", 10_500, status=200, slots_ms=[T0 + 4_000, T0 + 4_500])
    assert story.judged(i10_missed_exact) == [
        f"I10 a: the preview of its resume named [{T0 + 4_500}], which were not called"
    ]


@pytest.mark.parametrize(("run", "share", "broken"), [("a-1", 0.2, 0), ("a-2", 0.2, 1), ("a-1", 0.9, 1)])
def test_i11_a_clock_that_was_set(story: Story, run: str, share: float, broken: int) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.fault("clock-back", 5_050, 6_000)
    for each in ("a-1", run):
        story.tap("executions", run=each, schedule="a", slot_ms=T0 + 5_000, attempt=1)
    story.final("metric", service="engine-0", name="clock_fault_cpu_share", value=share)
    assert len(story.judged(i11_clock_jumps)) == broken


@pytest.mark.parametrize(
    ("status", "state", "revision", "broken"),
    [(200, "active", 2, 0), (404, None, None, 1), (200, "active", 1, 1), (503, None, None, 0)],
)
def test_i12_get(story: Story, status: int, state: str | None, revision: int | None, broken: int) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.op("update", "a", 100, status=200, revision=2)
    outcome = {200: "ok", 404: "fail", 503: "info"}[status]
    story.op("get", "a", 200, outcome=outcome, status=status, state=state, revision=revision)
    assert len(story.judged(i12_read_your_writes)) == broken


@pytest.mark.parametrize(("state", "broken"), [("cancelled", 0), ("active", 1)])
def test_i12_get_after_cancel(story: Story, state: str, broken: int) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.op("cancel", "a", 100, status=204)
    story.op("get", "a", 200, status=200, state=state)
    assert len(story.judged(i12_read_your_writes)) == broken


@pytest.mark.parametrize(("ids", "broken"), [(["a"], 0), ([], 1), (["a", "b"], 1)])
def test_i12_list(story: Story, ids: list[str], broken: int) -> None:
    story.create("a", at_ms=T0 + 50_000, tag="t")
    story.create("b", at_ms=T0 + 50_000, tag="t")
    story.op("cancel", "b", 100, status=204)
    story.op("list", "", 200, asked={"tag": "t"}, status=200, ids=ids)
    assert len(story.judged(i12_read_your_writes)) == broken


@pytest.mark.parametrize(
    ("other", "broken"), [({}, 0), ({"id": "other"}, 1), ({"content": "y"}, 1), ({"created_at": "then"}, 1)]
)
def test_i16_one_key(story: Story, other: dict[str, str], broken: int) -> None:
    for answer in ({}, other):
        asked = {"key": "k", "content": answer.get("content", "x"), "at_ms": T0 + 5_000}
        said = {"status": 201, "id": "a", "created_at": "now", **answer}
        said.pop("content", None)
        story.op("create", "a", 0, asked=asked, **said)
    assert len(story.judged(i16_idempotency)) == broken


def test_i8_an_attempt_that_never_came_to_the_target(story: Story) -> None:
    _attempts(story, [2, 3], fails=2)
    assert story.judged(i08_retries_exact) == ["I8 a: attempts of a-1 are numbered [2, 3]"]
    story.tap("results", run="a-1", attempt=1, state="failed")
    assert story.judged(i08_retries_exact) == []

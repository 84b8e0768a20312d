"""I13 to I17 but I16, the whole verdict, and what a cut file does to it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.judge import i13_liveness, i14_state_is_the_log, i15_refusals_complete, i17_nothing_left_over
from tests.judge.history import History
from tests.judge.verdict import INVARIANTS, judge
from tests.unit.judge.story import T0, Story


@pytest.mark.parametrize(("begun", "broken"), [(25_000, 0), (31_000, 1)])
def test_i13_owed_work_is_done_within_e_of_the_last_heal(story: Story, begun: int, broken: int) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.fault("broker-kill", 4_000, 20_000)
    story.call("a", begun, due_ms=T0 + 5_000)
    assert len(story.judged(i13_liveness)) == broken
    assert i13_liveness.recovery_ms(History(story.folder)) == (begun - 20_000, "broker-kill")


@pytest.mark.parametrize(("value", "broken"), [(200, 0), (900, 1)])
def test_i13_memory(story: Story, value: int, broken: int) -> None:
    story.final("resource", service="engine-0", name="rss_mb", value=value, limit=800)
    assert len(story.judged(i13_liveness)) == broken


@pytest.mark.parametrize(("digest", "broken"), [("x", 0), ("y", 1)])
def test_i14_copies(story: Story, digest: str, broken: int) -> None:
    story.final("state", partition=0, source="disk", rows=3, digest=digest)
    story.final("state", partition=0, source="log", rows=3, digest="x")
    assert len(story.judged(i14_state_is_the_log)) == broken


@pytest.mark.parametrize(("workers", "broken"), [(["e0"], 0), (["e0", "e1"], 1)])
def test_i14_owners(story: Story, workers: list[str], broken: int) -> None:
    for worker in workers:
        story.final("owner", partition=0, worker=worker)
    assert len(story.judged(i14_state_is_the_log)) == broken


@pytest.mark.parametrize(("state", "broken"), [("succeeded", 0), ("failed", 1)])
def test_i14_history(story: Story, state: str, broken: int) -> None:
    story.completion("a", 5_000)
    story.final("run", id="a-1", schedule_id="a", state=state, due_ms=T0 + 5_000)
    assert len(story.judged(i14_state_is_the_log)) == broken


@pytest.mark.parametrize(
    ("first", "second", "fault", "told", "broken"),
    [
        ("skipped", "succeeded", "kill", False, 1),
        ("missed", "skipped", "kill", False, 1),
        ("succeeded", "failed", "kill", False, 1),
        ("skipped", "skipped", "kill", False, 0),
        ("skipped", "succeeded", "cut", False, 0),
        ("cancelled", "succeeded", "kill", False, 0),
        ("cancelled", "succeeded", "kill", True, 1),
    ],
)
def test_i14_one_truth(story: Story, first: str, second: str, fault: str, told: bool, broken: int) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.op("cancel", "a", 4_000, status=204 if told else 202)
    story.fault(fault, 5_010, 6_000)
    story.completion("a", 5_000, state=first)
    story.completion("a", 6_100, state=second)
    assert len(story.judged(i14_state_is_the_log)) == broken


def test_i14_the_word_of_a_replaced_owner_may_come_behind_its_successors(story: Story) -> None:
    story.fault("cut", 4_000, 7_000)
    story.completion("a", 6_100, state="succeeded")
    story.completion("a", 5_000, state="skipped")
    story.final("run", id="a-1", schedule_id="a", state="succeeded")
    assert story.judged(i14_state_is_the_log) == []


def test_i14_a_stall_of_another_time_excuses_nothing(story: Story) -> None:
    story.fault("stop", 30_000, 31_000)
    story.completion("a", 5_000, state="skipped")
    story.completion("a", 6_100, state="succeeded")
    assert len(story.judged(i14_state_is_the_log)) == 1


@pytest.mark.parametrize(("offset", "broken"), [(7, 0), (8, 1)])
def test_i15_refused(story: Story, offset: int, broken: int) -> None:
    story.op("poison", "x", 100, asked={"what": "no JSON"}, topic="squirrel.inbox", partition=0, offset=7)
    story.tap("refused", reason="invalid", received={"topic": "squirrel.inbox", "partition": 0, "offset": offset})
    assert len(story.judged(i15_refusals_complete)) == broken


def test_i17_lag_orphans_and_open_runs(story: Story) -> None:
    story.final("lag", group="engine", topic="commands", partition=0, lag=0)
    assert story.judged(i17_nothing_left_over) == []
    story.final("lag", group="engine", topic="commands", partition=1, lag=2)
    story.final("orphan", detail="D without S: a")
    story.final("run", id="a-1", schedule_id="a", state="in_flight", due_ms=T0 + 5_000)
    assert len(story.judged(i17_nothing_left_over)) == 3


@pytest.mark.parametrize(("state", "broken"), [("finished", 0), ("waiting", 1)])
def test_i17_a_child_that_waits_for_a_parent_that_is_over(story: Story, state: str, broken: int) -> None:
    story.create("p", at_ms=T0 + 1_000)
    story.completion("p", 1_010)
    story.create("c", after=[["p", "success"]])
    story.final("schedule", id="c", status=200, state=state)
    assert len(story.judged(i17_nothing_left_over)) == broken


def test_there_is_one_checker_per_invariant() -> None:
    assert [module.NAME for module in INVARIANTS] == [f"I{number}" for number in range(1, 18)]


def test_the_verdict_is_one_honest_line_and_again_offline(story: Story) -> None:
    story.end["seed"] = 42
    story.create("a", at_ms=T0 + 5_000)
    story.create("b", at_ms=T0 + 5_000)
    story.call("a", 6_500, due_ms=T0 + 5_000)
    story.fault("kill-engine", 4_000, 6_000)
    story.save()
    said = judge(story.folder)
    assert said.line == (
        "2 schedules, 1 faults of 1 kinds: 1 lost, 0 early, 0 repeats, none at all; longest recovery 0.5 s; seed 42"
    )
    command = [sys.executable, "-m", "tests.judge", str(story.folder)]
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (again.returncode, again.stdout.splitlines()[0]) == (1, said.line)


def test_a_last_line_that_a_kill_cut_is_left_out(story: Story) -> None:
    story.create("a", at_ms=T0 + 5_000)
    story.save()
    with (story.folder / "ledger.jsonl").open("ab") as file:
        file.write(b'{"i": 1, "mono_')
    assert [op.id for op in History(story.folder).ops] == ["a"]


@pytest.mark.parametrize(("overlap", "broken"), [("skip", 0), ("allow", 1)])
def test_i13_what_is_owed_in_turn_begins_within_e_of_the_one_before(story: Story, overlap: str, broken: int) -> None:
    story.create("a", every_ms=1_000, start_ms=T0 + 1_000, overlap=overlap)
    story.fault("broker-kill", 500, 3_000)
    story.call("a", 12_000, due_ms=T0 + 1_000)
    story.call("a", 20_000, run="a-2", due_ms=T0 + 2_000)
    assert len(story.judged(i13_liveness)) == broken

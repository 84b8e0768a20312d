"""Windows and turns of what is due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from squirrel.engine.admission import Admission
from squirrel.model.limits import ADMITTED_MS_MAX, UNTRACKED_MS
from squirrel.model.target import HttpTarget
from squirrel.wire.records import Execution

NOW_MS = 1_800_000_000_000
TARGET = HttpTarget("https://example.com/hook")


def attempts(namespace: str, count: int, *, first: int = 0, track: bool = True) -> list[Execution]:
    """The first attempts of `count` runs."""
    return [
        Execution(f"{namespace}-{n}", 1, namespace, f"s{n}", "e", NOW_MS, NOW_MS, NOW_MS, 1, TARGET, b"null", track)
        for n in range(first, first + count)
    ]


def step(admission: Admission, waiting: dict[str, int], limit: int, each: int = 1) -> dict[str, int]:
    """One firing step: takes what is allowed of what waits; every row orders `each` attempts. Answers the rows taken."""
    ready = [namespace for namespace, count in waiting.items() if count]
    shares = admission.shares(ready, limit, NOW_MS)
    taken = {namespace: min(share, waiting[namespace]) for namespace, share in shares}
    ordered: list[Execution] = []
    for namespace, count in taken.items():
        ordered += attempts(namespace, count * each, first=waiting[namespace] * 1000)
        waiting[namespace] -= count
    admission.took(shares, taken, ordered)
    admission.emitted(ordered, NOW_MS)
    return taken


def test_a_tenant_with_a_million_does_not_delay_another_by_more_than_a_step() -> None:
    admission = Admission(window=100)
    waiting = {"busy": 1_000_000, "quiet": 0}
    while step(admission, waiting, 2000):
        assert admission.more
    assert (waiting["busy"], admission.full, admission.more) == (1_000_000 - 100, {"busy"}, False)
    waiting["quiet"] = 1
    assert step(admission, waiting, 2000) == {"quiet": 1}


def test_an_answer_makes_room_and_says_so_once_somebody_waited() -> None:
    admission = Admission(window=2)
    admission.emitted(attempts("a", 2), NOW_MS)
    assert admission.answered("a-0", 1) is False  # nobody waited
    admission.emitted(attempts("a", 1, first=2), NOW_MS)
    assert admission.shares(["a"], 10, NOW_MS) == []
    assert admission.answered("b-7", 1) is False  # of a former owner
    assert admission.answered("a-1", 2) is False  # another attempt
    assert admission.answered("a-1", 1) is True
    assert admission.answered("a-1", 1) is False  # a repeat
    assert admission.shares(["a"], 10, NOW_MS) == [("a", 1)]


def test_what_nobody_reports_gives_its_place_back() -> None:
    admission = Admission(window=2)
    admission.emitted([*attempts("a", 1), *attempts("a", 1, first=1, track=False)], NOW_MS)
    assert admission.shares(["a"], 10, NOW_MS) == []
    assert admission.look_again_ms(NOW_MS) == UNTRACKED_MS
    assert admission.shares(["a"], 10, NOW_MS + UNTRACKED_MS) == [("a", 1)]
    assert admission.shares(["a"], 10, NOW_MS + ADMITTED_MS_MAX) == [("a", 2)]


def test_no_window_is_no_limit() -> None:
    admission = Admission(window=0)
    admission.emitted(attempts("a", 5000), NOW_MS)
    assert admission.shares(["a"], 2000, NOW_MS) == [("a", 2000)]
    assert sorted(admission.shares(["a", "b"], 2000, NOW_MS)) == [("a", 1000), ("b", 1000)]


def test_one_row_that_owed_many_runs_costs_its_tenant_turns() -> None:
    admission = Admission(window=100_000)
    waiting = {"greedy": 1000, "modest": 1000}
    first = step(admission, waiting, 20, each=50)
    assert first == {"greedy": 10, "modest": 10}
    after = [step(admission, waiting, 20) for _ in range(20)]
    assert {} in after, "both owe: nobody is served until a part is paid"
    assert admission.more


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 60), min_size=1),
    st.integers(1, 12),
    st.integers(1, 50),
)
def test_everybody_is_served_within_a_round(waiting: dict[str, int], limit: int, window: int) -> None:
    """However small the limit: as many steps as there are tenants serve each one, and all is taken in the end."""
    admission = Admission(window)
    left = dict(waiting)
    served: set[str] = set()
    for _ in range(len(waiting)):
        served.update(step(admission, left, limit))
    assert served == set(waiting)
    for _ in range(10_000):
        for run, attempt in list(admission._runs):
            admission.answered(run, attempt)
        if not any(left.values()):
            return
        step(admission, left, limit)
    raise AssertionError(left)

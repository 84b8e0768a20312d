"""The finished set: what is committed is the truth, however calls finish, and it always fits."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.executor.finished import SPAN_MAX, UNFINISHED_MAX, Finished, decode, encode
from squirrel.model.limits import COMMIT_METADATA_BYTES_MAX


def offsets_of(ranges: list[tuple[int, int]]) -> set[int]:
    return {offset for low, high in ranges for offset in range(low, high)}


@given(
    first=st.integers(0, 2**40),
    gaps=st.lists(st.integers(1, 3), min_size=1, max_size=300),
    seed=st.randoms(use_true_random=False),
)
def test_a_commit_says_exactly_what_is_finished(first: int, gaps: list[int], seed: random.Random) -> None:
    offsets = [first]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    finished = Finished(first)
    assert all(finished.take(offset) for offset in offsets)
    done = seed.sample(offsets, seed.randrange(len(offsets) + 1))
    for offset in done:
        finished.finish(offset)
    base, text = finished.mark()
    left = sorted(set(offsets) - set(done))
    assert base == (left[0] if left else offsets[-1] + 1)
    beyond = offsets_of(decode(base, text))
    assert beyond.isdisjoint(left)
    assert beyond >= {offset for offset in done if offset > base}
    again = Finished(base, decode(base, text))
    assert [offset for offset in offsets if offset >= base and again.take(offset)] == left


@given(st.lists(st.booleans(), min_size=1, max_size=400), st.integers(1, 399))
def test_what_was_finished_ahead_survives_a_second_crash(pattern: list[bool], reread: int) -> None:
    finished = Finished(0)
    for offset, done in enumerate(pattern):
        finished.take(offset)
        if done:
            finished.finish(offset)
    base, text = finished.mark()
    second = Finished(base, decode(base, text))
    for offset in range(base, min(base + reread, len(pattern))):  # killed again before all of it was read
        second.take(offset)
    base, text = second.mark()
    third = Finished(base, decode(base, text))
    called = [offset for offset in range(base, len(pattern)) if third.take(offset)]
    assert called == [offset for offset, done in enumerate(pattern) if not done]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_finishes_first_fits_while_there_is_room(seed: int) -> None:
    draw = random.Random(seed)
    finished = Finished(7)
    finished.take(7)  # one call that never ends
    offset = 8
    for share in (0.5, 0.9, 0.99, 0.0):
        while finished.has_room() and offset < 200_000:
            finished.take(offset)
            if draw.random() < share:
                finished.finish(offset)
            offset += 1
    unfinished = set(finished._unfinished)
    base, text = finished.mark()
    assert len(text) <= COMMIT_METADATA_BYTES_MAX
    assert base == 7
    assert offsets_of(decode(base, text)) == set(range(7, offset)) - unfinished, f"seed {seed}"


def test_a_stuck_call_stalls_the_partition_only_when_the_set_would_not_fit() -> None:
    finished = Finished(0)
    finished.take(0)
    for offset in range(1, 1_000_000):
        finished.take(offset)
        finished.finish(offset)
    assert finished.has_room()
    assert decode(0, finished.mark()[1]) == [(1, 1_000_000)]
    for offset in range(1_000_000, 1_000_000 + UNFINISHED_MAX - 1):
        assert finished.has_room()
        finished.take(offset)
    assert not finished.has_room()
    finished.finish(0)
    assert finished.has_room()


def test_what_does_not_fit_is_forgotten_from_the_end_never_invented() -> None:
    ranges = [(offset, offset + 1) for offset in range(1, 3 * SPAN_MAX, 2)]
    text = encode(0, ranges)
    assert len(text) <= COMMIT_METADATA_BYTES_MAX
    kept = decode(0, text)
    assert kept == ranges[: len(kept)]
    assert len(kept) >= SPAN_MAX // 2 - 1


@pytest.mark.parametrize("text", ["", "x", "1r!", "2rAAAA", "faust", "1b" + "A" * 5000, "1rééé"])
def test_metadata_of_another_origin_says_nothing(text: str) -> None:
    assert decode(5, text) == []


def test_marks_only_when_something_changed() -> None:
    finished = Finished(3)
    assert not finished.changed
    finished.take(3)
    assert finished.changed
    assert finished.mark() == (3, "")
    assert not finished.changed
    finished.finish(3)
    assert finished.mark() == (4, "")

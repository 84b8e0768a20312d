"""Percentiles from a sketch against all values sorted."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.stores.sketch import DIFFERENT_MAX, RELATIVE_ERROR, Sketch


def nearest_rank(values: list[int], percent: int) -> int:
    return sorted(values)[max(1, -(-len(values) * percent // 100)) - 1]


def sketch_of(values: list[int]) -> Sketch:
    made = Sketch()
    for value in values:
        made.add(value)
    return made


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=300), st.integers(1, 100))
def test_few_values_are_exact(values: list[int], percent: int) -> None:
    sketch = sketch_of(values)
    assert sketch.error == 0.0
    assert sketch.percentile(percent) == nearest_rank(values, percent)


@pytest.mark.parametrize("size", [3.0, 9.0, 16.0])
@pytest.mark.parametrize("percent", [1, 50, 95, 99, 100])
def test_many_values_are_within_the_stated_error(percent: int, size: float) -> None:
    draw = Random(percent)
    values = [int(draw.lognormvariate(size, 2)) for _ in range(2 * DIFFERENT_MAX)]
    values += range(2 * DIFFERENT_MAX)
    sketch = sketch_of(values)
    assert sketch.error == RELATIVE_ERROR
    expected = nearest_rank(values, percent)
    found = sketch.percentile(percent)
    assert found is not None
    assert abs(found - expected) <= expected * RELATIVE_ERROR + 0.5, "and half a millisecond of rounding"
    assert (sketch.low, sketch.high, sketch.count, sketch.mean) == (
        min(values), max(values), len(values), sum(values) / len(values),
    )  # fmt: skip


def test_nothing_seen() -> None:
    assert (Sketch().percentile(99), Sketch().mean, Sketch().low) == (None, None, None)


def test_clocks_that_went_back_count_as_no_time() -> None:
    assert sketch_of([-5, 0, 7]).percentile(1) == 0

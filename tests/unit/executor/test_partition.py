"""What rides in a commit's metadata, and what the next executor knows by it."""

from __future__ import annotations

import pytest

from squirrel.executor.finished import Finished
from squirrel.executor.partition import Partition, resume
from squirrel.model.limits import COMMIT_METADATA_BYTES_MAX

T0 = 1_800_000_000_000


def test_the_next_executor_does_not_hear_an_owner_that_was_replaced_before_it_began() -> None:
    """Found by the simulation: the epoch was known to one process only, and a restart called the order of a stalled engine."""
    first = Partition(0, Finished(), None)
    assert first.repeats.judge("a/1", 2**32 + 77, T0, 0) == "new"
    first.finished.take(0)
    first.finished.finish(0)
    offset, metadata = first.mark()
    resumed = resume(offset, metadata)
    second = Partition(0, resumed.finished, resumed.results_next)
    second.repeats.go_on_from(resumed.epoch, resumed.emitted_ms)
    assert second.repeats.judge("b/1", 2**32 + 76, T0 + 5_000, 1) == "stale"
    assert second.repeats.judge("b/1", 2**32 + 77, T0 + 5_000, 2) == "new"


def test_a_mark_says_all_of_it_within_the_limit() -> None:
    partition = Partition(0, Finished(10), 0x7FFF_FFFF_FFFF)
    partition.repeats.judge("a/1", 2**40, T0 * 4, 9)
    for offset in range(10, 40_000):
        if not partition.finished.has_room():
            break
        partition.finished.take(offset)
        if offset % 2:
            partition.finished.finish(offset)
    offset, metadata = partition.mark()
    assert len(metadata) <= COMMIT_METADATA_BYTES_MAX
    resumed = resume(offset, metadata)
    assert (resumed.results_next, resumed.epoch) == (0x7FFF_FFFF_FFFF, 2**40)
    assert resumed.finished.take(10)
    assert not resumed.finished.take(11)


@pytest.mark.parametrize(
    ("metadata", "results_next"),
    [("1d~", 29), ("~", None), ("", None), ("faust", None), ("x.y.z~", None), ("1d.~", 29)],
)
def test_what_another_release_had_written_tells_no_epoch(metadata: str, results_next: int | None) -> None:
    resumed = resume(5, metadata)
    assert (resumed.results_next, resumed.epoch) == (results_next, 0)

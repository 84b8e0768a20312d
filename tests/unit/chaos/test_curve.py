"""The chart of a soak: one row a series, its course from nothing to its greatest."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.curve import chart
from tests.judge.ledger import Lines


def test_a_row_shows_first_median_last_and_the_course(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    with Lines(path) as curve:
        for second in range(5):
            curve.write({"seconds": second, "rss_mb engine-0": 25.0 * second, "late_ms_p99": None if second else 4})
    _, memory, lateness = chart(path).splitlines()
    assert memory.split() == ["rss_mb", "engine-0", "0.0", "50.0", "100.0", ":=#@"]
    assert lateness.split()[:4] == ["late_ms_p99", "4.0", "4.0", "4.0"]

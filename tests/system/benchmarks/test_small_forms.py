"""Every benchmark in its small form, as `make bench` runs it: for what is counted and printed, never for time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import engine_fire, engine_ingest, executor_webhooks, lateness, recovery, rest
from benchmarks.__main__ import BENCHMARKS

RUN_SECONDS_MAX = 170
Lines = dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=list(BENCHMARKS))
def run(
    request: pytest.FixtureRequest, root: Path, kafka: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Lines]:
    """One benchmark, run to its end: (its name, its lines by metric). Nothing of it is left on disk."""
    folder = tmp_path_factory.mktemp(request.param)
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--small", "--only", request.param, "--kafka", kafka],
        cwd=root,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert list(folder.iterdir()) == [], "the run left files behind"
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert tuple(line["metric"] for line in lines) == BENCHMARKS[request.param]
    return request.param, {line["metric"]: line for line in lines}


def test_every_line_has_the_stated_fields(run: tuple[str, Lines]) -> None:
    for line in run[1].values():
        assert list(line)[:5] == ["metric", "value", "unit", "ceiling", "ratio"]
        assert line["value"] > 0
        if line["ceiling"] is not None:
            # Both are rounded to four digits.
            assert line["ratio"] == pytest.approx(line["value"] / line["ceiling"], rel=0.01)


def test_what_was_counted_is_what_was_asked_for(run: tuple[str, Lines]) -> None:
    name, lines = run
    expected: dict[str, dict[str, int]] = {
        "engine_ingest_commands_per_s": {
            "commands": engine_ingest.COUNT_SMALL,
            "pending": engine_ingest.COUNT_SMALL,
            # One row for each; the id of each partition's changelog, and that it was taken over.
            "changelog_records": engine_ingest.COUNT_SMALL + 16,
        },
        "engine_fire_executions_per_s": {"executions": engine_fire.COUNT_SMALL},
        "executor_webhooks_per_s": {"calls": executor_webhooks.COUNT_SMALL},
        "rest_schedules_per_s": {"schedules": rest.SINGLES_SMALL},
        "rest_schedules_async_per_s": {"schedules": rest.SINGLES_SMALL},
        "rest_batch_schedules_per_s": {"schedules": rest.BATCHES_SMALL * rest.BATCH_ITEMS_SMALL},
        "recovery_schedules_per_s": {"changelog_records": recovery.COUNT_SMALL + 16},
        "pending_disk_bytes": {"pending": recovery.COUNT_SMALL},
        "engine_rss_mb": {"pending": recovery.COUNT_SMALL},
        **{
            metric: {"calls": lateness.SECONDS_SMALL * lateness.RATE_PER_S_SMALL, "negative": 0}
            for metric in BENCHMARKS["lateness"]
        },
    }
    for metric, line in lines.items():
        wanted = expected.get(metric, {})
        assert {key: line[key] for key in wanted} == wanted, f"{name}: {line}"


def test_percentiles_ascend_and_a_call_ends_after_it_began(run: tuple[str, Lines]) -> None:
    name, lines = run
    if name != "lateness":
        pytest.skip("only lateness has percentiles")
    p50, p99, worst = (lines[metric] for metric in BENCHMARKS["lateness"])
    assert 0 <= p50["value"] <= p99["value"] <= worst["value"]
    # Results are in whole milliseconds, the target's notes in microseconds.
    assert worst["answered_ms"] >= worst["value"] - 1

"""What the figures rest on: the targets' notes, the checks on them, and an end that leaves nothing running."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from benchmarks import sink as sink_module
from benchmarks.figure import Figure, percentile
from benchmarks.http_load import drive, request
from benchmarks.lateness import _checked
from benchmarks.sink import Received, sink
from tests.eventually import eventually

DUE_MS = 1_801_476_000_000


@pytest.mark.parametrize("kind", ["c", "asyncio"])
async def test_the_target_notes_every_request_once(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "asyncio":
        monkeypatch.setattr(sink_module.shutil, "which", lambda _: None)
    async with sink(tmp_path) as target:
        if target.kind != kind:
            pytest.skip("no C compiler here")
        due = "squirrel-scheduled-for: 2027-02-01T10:00:00.000Z\r\n"
        requests = [request("POST", "/hook", b"x" * size, f"webhook-id: run_{size}\r\n{due}") for size in range(50)]
        driven = await drive(tmp_path, requests, port=target.port, count=100, connections=7)
        assert driven.statuses == {"200": 100}
        assert await target.count() == 100
        received = await target.received()
    assert sorted(each.run for each in received) == sorted(f"run_{size}" for size in [*range(50), *range(50)])
    assert {each.due_ms for each in received} == {1_801_476_000_000}


async def test_a_paced_load_is_never_early(tmp_path: Path) -> None:
    async with sink(tmp_path) as target:
        driven = await drive(
            tmp_path, [request("POST", "/hook", b"{}")], port=target.port, count=60, connections=4, rate_per_s=100
        )
        received = await target.received()
    assert driven.requests == len(received) == 60
    assert min(each.lateness_ms for each in received) >= 0
    instants = sorted(each.due_ms for each in received)
    assert instants[-1] - instants[0] == 590


def test_an_early_call_fails_the_benchmark() -> None:
    on_time = Received(DUE_MS * 1000, DUE_MS, "run_1")
    early = Received(DUE_MS * 1000 - 1, DUE_MS, "run_2")
    assert _checked([on_time], 1) == [0.0]
    with pytest.raises(AssertionError, match="before it was due"):
        _checked([on_time, early], 2)


def test_a_repeated_or_missing_call_fails_the_benchmark() -> None:
    call = Received(DUE_MS * 1000, DUE_MS, "run_1")
    with pytest.raises(AssertionError, match="2 calls of 1 runs"):
        _checked([call, call], 2)
    with pytest.raises(AssertionError, match="1 calls of 1 runs, 2 wanted"):
        _checked([call], 2)


def test_a_figure_without_a_ceiling_has_no_ratio() -> None:
    assert Figure("m", 123456.7, "x/s", 200_000.0, {"n": 3}).document() == {
        "metric": "m",
        "value": 123457,
        "unit": "x/s",
        "ceiling": 200000,
        "ratio": 0.6173,
        "n": 3,
    }
    assert Figure("m", 0.00123456, "s").document()["ratio"] is None


def test_percentiles_are_of_what_was_measured() -> None:
    values = [float(value) for value in range(100)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50.0, 99.0, 99.0)
    assert percentile([7.0], 0.5) == 7.0


async def test_sigterm_ends_all_that_was_started(root: Path, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--small", "--only", "engine_fire"),
        cwd=root,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            while b"running: engine" not in (line := await process.stderr.readline()):
                assert line, "it ended before the engine ran"
        assert _mentioning(tmp_path), "the broker and the engine run in this directory"
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await process.stderr.read()
            assert await process.wait() != 0
    finally:
        if process.returncode is None:
            process.kill()
    await eventually(lambda: not _mentioning(tmp_path), what="all processes in the directory ended")
    assert list(tmp_path.iterdir()) == []


def _mentioning(folder: Path) -> list[int]:
    """Processes whose environment or command line names the folder, this one's apart."""
    found = []
    for path in Path("/proc").iterdir():
        if not path.name.isdigit() or int(path.name) == os.getpid():
            continue
        try:
            told = (path / "environ").read_bytes() + (path / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in told:
            found.append(int(path.name))
    return found

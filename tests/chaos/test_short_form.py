"""The short form of chaos: one seed that is always the same, and a fresh one that a failure prints."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import sys
from pathlib import Path

import pytest

RUN_SECONDS_MAX = 480  # 90 on two idle cores
SAY_SECONDS = 30


@pytest.mark.timeout(RUN_SECONDS_MAX + 2 * SAY_SECONDS)
@pytest.mark.parametrize("seed", [8412, None], ids=["fixed", "fresh"])
async def test_nothing_lost_nothing_early(seed: int | None, tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    folder, progress, report = tmp_path / "chaos", tmp_path / "progress", tmp_path / "report"
    with progress.open("wb") as says, report.open("wb") as prints:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos", "--short", "--seed", str(seed), "--folder", str(folder)),
            stdout=prints,
            stderr=says,
        )
    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            await process.wait()
    except TimeoutError:
        await _ended(process)
        pytest.fail(f"seed {seed} did not end, files in {folder}:\n{progress.read_text()[-20_000:]}")
    finally:
        await _ended(process)
    text = report.read_text()
    assert process.returncode == 0, f"seed {seed}, files in {folder}:\n{progress.read_text()[-3000:]}\n{text[:6000]}"
    sys.stdout.write(text.splitlines()[0] + "\n")


async def _ended(process: asyncio.subprocess.Process) -> None:
    """SIGUSR1: where its threads are; SIGTERM: what its tasks wait for; SIGKILL when it does not end of that."""
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL):
        if process.returncode is None:
            process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1 if number is signal.SIGUSR1 else SAY_SECONDS):
                    await process.wait()

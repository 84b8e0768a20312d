"""The short form of chaos: one seed that is always the same, and a fresh one that a failure prints."""

from __future__ import annotations

import asyncio
import secrets
import sys
from pathlib import Path

import pytest

RUN_SECONDS_MAX = 600  # 90 on two idle cores


@pytest.mark.timeout(RUN_SECONDS_MAX + 30)
@pytest.mark.parametrize("seed", [8412, None], ids=["fixed", "fresh"])
async def test_nothing_lost_nothing_early(seed: int | None, tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    folder = tmp_path / "chaos"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos", "--short", "--seed", str(seed), "--folder", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            said, progress = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = said.decode()
    assert process.returncode == 0, f"seed {seed}, files in {folder}:\n{progress.decode()[-3000:]}\n{text[:6000]}"
    sys.stdout.write(text.splitlines()[0] + "\n")

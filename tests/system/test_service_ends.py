"""A service that cannot stop in time ends all the same: its threads would stay members of their group and work on nothing.

Found by chaos: an executor that was told to stop while the machine was busy lived on for ever with half of the partitions.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from squirrel.runtime.service import STOP_SECONDS_MAX

LINGERS = """
import asyncio, threading
from squirrel.runtime.service import run_service
from squirrel.runtime.settings import load


class Lingering:
    def __init__(self, context):
        threading.Thread(target=threading.Event().wait).start()  # as the consumer's, it is waited for at the end

    async def start(self):
        print("up", flush=True)

    async def stop(self):
        STOP

    def ready(self):
        return None

    def values(self):
        return {}


raise SystemExit(run_service("lingering", load({"data_dir": "/nowhere"})[0], Lingering))
"""


@pytest.mark.parametrize("stop", ["await asyncio.Event().wait()", "raise OSError('the disk is gone')"])
async def test_it_ends_although_its_stop_does_not(stop: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LINGERS.replace("STOP", stop)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while b"started" not in await process.stdout.readline():
                pass
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS_MAX + 20):
            said = (await process.stdout.read()).decode()
            assert await process.wait() == 0, said
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

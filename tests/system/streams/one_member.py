"""A member in a process of its own, to be killed: `python -m tests.system.streams.one_member BROKERS GROUP TOPIC...`."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from squirrel.runtime.clock import SystemClock
from squirrel.streams.app import lane_app
from squirrel.streams.lanes import LaneSettings
from tests.eventually import eventually
from tests.system.streams.members import SESSION_SECONDS


async def _lane(topic: str, partition: int, records: Sequence[Any]) -> None:
    return


async def main(brokers: str, group: str, *topics: str) -> None:
    app = lane_app(
        LaneSettings(
            group=group,
            brokers=brokers,
            client_id="to-be-killed",
            lanes=dict.fromkeys(topics, _lane),
            datadir=Path(tempfile.mkdtemp()),
            clock=SystemClock(),
            on_fatal=lambda error: os._exit(1),
            session_seconds=SESSION_SECONDS,
        )
    )
    await app.start()
    ready: list[int] = await eventually(app.ready, 20)
    sys.stdout.write(f"ready {len(ready)}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

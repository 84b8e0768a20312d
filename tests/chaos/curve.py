"""How everything grows over a run: memory, open files, topics, RocksDB, lateness; one JSON line each ten seconds, and a chart."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson

from tests.chaos.asking import Clients
from tests.chaos.installation import Installation
from tests.judge.history import lines
from tests.judge.ledger import Lines

SAMPLE_SECONDS: Final = 10.0
CHART_COLUMNS: Final = 60
BARS: Final = " .:-=+*#%@"
MIB: Final = 1 << 20


async def watch_curve(on: Installation, clients: Clients) -> None:
    """Writes `curve.jsonl` until the run ends."""
    began, received = time.monotonic(), 0
    with Lines(on.folder / "curve.jsonl") as curve:
        while not clients.ending.over:
            await clients.ending.pause(SAMPLE_SECONDS)
            late_ms = sorted(clients.target.late_ms)
            clients.target.late_ms.clear()
            now_received = clients.target.received
            record: dict[str, Any] = {
                "seconds": round(time.monotonic() - began, 1),
                "acknowledged": clients.ledger.acknowledged,
                "calls_per_second": round((now_received - received) / SAMPLE_SECONDS, 1),
                "late_ms_p50": late_ms[len(late_ms) // 2] if late_ms else None,
                "late_ms_p99": late_ms[len(late_ms) * 99 // 100] if late_ms else None,
            }
            received = now_received
            curve.write(record | processes(on) | await asyncio.to_thread(disks, on))


def processes(on: Installation) -> dict[str, Any]:
    """Resident memory and open files by service; those that are down are left out."""
    found: dict[str, Any] = {}
    for service in on.services.values():
        try:
            pages = int(Path(f"/proc/{service.pid}/statm").read_text(encoding="ascii").split()[1])
            files = len(os.listdir(f"/proc/{service.pid}/fd"))  # noqa: PTH208 - of names only
        except OSError:
            continue
        found[f"rss_mb {service.name}"] = round(pages * 4096 / MIB, 1)
        found[f"open_files {service.name}"] = files
    return found


def disks(on: Installation) -> dict[str, float]:
    """MiB of each topic and of each engine's store."""
    found: dict[str, float] = {}
    for folder in (on.folder / "kafka" / "data").glob("squirrel.*-*"):
        topic = "topic_mb " + folder.name.removeprefix("squirrel.").rpartition("-")[0]
        found[topic] = found.get(topic, 0) + _bytes(folder.iterdir()) / MIB
    for name in ("engine-0", "engine-1", "engine-2"):
        found[f"rocksdb_mb {name}"] = _bytes(on.store_of(name).glob("*/*")) / MIB
    return {name: round(size, 2) for name, size in found.items()}


def _bytes(paths: Iterable[Path]) -> int:
    """Of files that may go while they are looked at; allocated blocks, for the broker makes its indexes larger than they are."""
    total = 0
    for path in paths:
        try:
            total += path.stat().st_blocks * 512
        except OSError:
            continue
    return total


def chart(path: Path) -> str:
    """One row a series: its name, first, median and last value, and its course from 0 to its greatest."""
    records = [orjson.loads(line) for line in lines(path)]
    names = list(dict.fromkeys(name for record in records for name in record if name != "seconds"))
    rows = []
    for name in names:
        values = [float(record[name]) for record in records if record.get(name) is not None]
        if not values:
            continue
        top = max(values) or 1.0
        step = max(1, -(-len(values) // CHART_COLUMNS))
        course = "".join(
            BARS[round(max(values[i : i + step]) / top * (len(BARS) - 1))] for i in range(0, len(values), step)
        )
        median = sorted(values)[len(values) // 2]
        rows.append(f"{name:<34} {values[0]:>10.1f} {median:>10.1f} {values[-1]:>10.1f}  {course}")
    return "\n".join([f"{'':<34} {'first':>10} {'median':>10} {'last':>10}  0 to the greatest, over the run", *rows])

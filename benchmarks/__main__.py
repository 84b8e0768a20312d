"""`python -m benchmarks [--only NAME] [--small] [--kafka HOST:PORT]`: a JSON object a line on stdout, all else on stderr."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import logging
import os
import pkgutil
import signal
import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

import uvloop

import benchmarks
from benchmarks.figure import Figure, line_of
from benchmarks.stage import existing_kafka, forget_own_settings, note

# In this order: the engine's first, for the others stand on it. Name -> the metrics that its run prints.
BENCHMARKS: Mapping[str, tuple[str, ...]] = {
    "engine_ingest": ("engine_ingest_commands_per_s",),
    "engine_fire": ("engine_fire_executions_per_s",),
    "lateness": ("lateness_ms_p50", "lateness_ms_p99", "lateness_ms_max"),
    "fairness": ("fairness_lateness_ms_p99", "burst_drain_ratio", "burst_stream_lateness_ms_p99"),
    "executor_webhooks": ("executor_webhooks_per_s",),
    "rest": ("rest_schedules_per_s", "rest_schedules_async_per_s", "rest_batch_schedules_per_s"),
    "recovery": ("recovery_schedules_per_s", "pending_disk_bytes", "engine_rss_mb"),
    "takeover": ("takeover_s_max", "rolling_restart_late_s_max"),
    "next_slot": ("next_slot_us_p50", "next_slot_us_p99"),
}
SECONDS_MAX = 600.0
SECONDS_MAX_SMALL = 120.0


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 1 when a benchmark failed, the others ran all the same."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="one benchmark, by its name or by one of its metrics")
    parser.add_argument("--small", action="store_true", help="small: for what is counted, not for the figures")
    parser.add_argument(
        "--kafka", metavar="HOST:PORT", help="this one instead of a fresh embedded one; topics of its own"
    )
    chosen = parser.parse_args(arguments)
    names = names_of(chosen.only)
    if not names:
        parser.error(f"no benchmark is called {chosen.only}; there are {', '.join(BENCHMARKS)}")
    forget_own_settings()
    existing_kafka.set(chosen.kafka)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # it tells of every retry while topics are new
    failed = 0
    for name in names:
        note(f"{name}{' (small)' if chosen.small else ''}")
        try:
            figures = figures_of(name, small=chosen.small)
        except Exception:  # noqa: BLE001 - one that fails must not take the others' figures
            traceback.print_exc(file=sys.stderr)
            failed += 1
            continue
        for figure in figures:
            print(line_of(figure), flush=True)
    return 1 if failed else 0


def names_of(only: str | None) -> list[str]:
    """Which to run."""
    present = {module.name for module in pkgutil.iter_modules(benchmarks.__path__)}
    return [
        name
        for name, metrics in BENCHMARKS.items()
        if name in present and (only is None or only == name or only in metrics)
    ]


def figures_of(name: str, *, small: bool) -> Iterable[Figure | Mapping[str, Any]]:
    """Run one; asynchronous ones on the loop that the services use too."""
    run = importlib.import_module(f"benchmarks.{name}").run
    if not inspect.iscoroutinefunction(run):
        return list(run(small))

    async def bounded() -> list[Figure]:
        this = asyncio.current_task()
        assert this is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)  # what was started ends with it
        async with asyncio.timeout(SECONDS_MAX_SMALL if small else SECONDS_MAX):
            figures: list[Figure] = await run(small)
            return figures

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status) if status else sys.exit(0)

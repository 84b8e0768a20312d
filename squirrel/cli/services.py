"""The service verbs, one process each: for Compose, Kubernetes, and for `squirrel dev`, which starts the same ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated

from cyclopts import App, Parameter

SERVICES = {
    "gateway": "answers the REST API",
    "intake": "turns records of the public inbox into commands or refusals",
    "engine": "owns the timeline: commands in, executions out",
    "executor": "calls targets and reports results",
    "recorder": "writes results into the history",
    "watchdog": "tells what should have run and did not",
}


def register(app: App) -> None:
    """Add one verb per service."""
    for name, what in SERVICES.items():
        app.command(_verb(name, what), name=name)


def _verb(name: str, what: str) -> Callable[..., int]:
    def run(
        *,
        kafka: Annotated[str | None, Parameter(help="bootstrap servers")] = None,
        history: Annotated[str | None, Parameter(help="sqlite:PATH or cassandra://HOST:PORT/KEYSPACE")] = None,
        host: Annotated[str | None, Parameter(help="address of the REST API")] = None,
        port: Annotated[int | None, Parameter(help="port of the REST API")] = None,
        internal_port: Annotated[int | None, Parameter(help="port of /healthz, /readyz and /metrics")] = None,
        data_dir: Annotated[str | None, Parameter(help="where the timeline's local copy is kept")] = None,
        log_level: Annotated[str | None, Parameter(help="debug, info, warning or error")] = None,
    ) -> int:
        flags: dict[str, object] = {
            "kafka": kafka,
            "history": history,
            "host": host,
            "port": port,
            "internal_port": internal_port,
            "data_dir": data_dir,
            "log_level": log_level,
        }
        return _run(name, flags)

    run.__doc__ = f"Run the {name} service: it {what}. Every setting is also read from SQUIRREL_NAME."
    return run


def _run(name: str, flags: dict[str, object]) -> int:
    from squirrel.runtime.service import run_service
    from squirrel.runtime.settings import load

    settings, notes = load(flags)
    for note in notes:
        sys.stderr.write(f"squirrel: {note}\n")
    build = import_module(f"squirrel.runtime.services.{name}").build
    return run_service(name, settings, build)

"""`squirrel dev`: everything on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter


def register(app: App) -> None:
    """Add the verb."""
    app.command(dev)


def dev(
    *,
    port: Annotated[int | None, Parameter(help="port of the REST API, 8080; every other port is a free one")] = None,
    data_dir: Annotated[
        Path | None, Parameter(help="where Kafka, the timeline and the history are kept, .squirrel")
    ] = None,
    kafka: Annotated[str | None, Parameter(help="HOST:PORT of a Kafka that runs already")] = None,
    history: Annotated[str | None, Parameter(help="sqlite:PATH or cassandra://HOST:PORT/KEYSPACE")] = None,
    ephemeral: Annotated[bool, Parameter(help="keep nothing: a fresh data directory, removed at the end")] = False,
    watchdog: Annotated[
        bool, Parameter(negative=(), help="run the watchdog too, for GET /api/v1/expectations")
    ] = False,
) -> int:
    """Start Kafka and every service, and print `ready http://127.0.0.1:PORT` when a schedule sent now would fire.

    Ctrl-C or SIGTERM ends it within five seconds; the next start goes on where it was.
    """
    from squirrel.runtime.dev import DevOptions, run_dev

    options = DevOptions(
        port=port, data_dir=data_dir, kafka=kafka, history=history, ephemeral=ephemeral, watchdog=watchdog
    )
    return run_dev(options)

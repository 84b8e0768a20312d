"""`squirrel topics apply|check|show`: the only thing that creates or verifies the topics."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

Output = Annotated[Literal["table", "json"], Parameter(help="table for people, json for programs")]
Kafka = Annotated[str | None, Parameter(help="bootstrap servers; default: the setting kafka")]


def register(app: App) -> None:
    """Add the group."""
    group = App(name="topics", help="Create, verify or list the topics that Squirrel uses.")
    group.command(apply)
    group.command(check)
    group.command(show)
    app.command(group)


def apply(*, kafka: Kafka = None, output: Output = "table") -> int:
    """Create the topics that are missing. What exists and differs is reported, never changed."""
    from squirrel.runtime.topics import apply_topics

    return _report(asyncio.run(apply_topics(_settings(kafka))), output)


def check(*, kafka: Kafka = None, output: Output = "table") -> int:
    """Verify partitions, retention and compaction; exit 1 when a pending schedule could be lost."""
    from squirrel.runtime.topics import check_topics

    return _report(asyncio.run(check_topics(_settings(kafka))), output)


def show(*, output: Output = "table") -> int:
    """List the topics with their settings, without asking a broker."""
    from squirrel.runtime.topics import planned_topics

    return _report(planned_topics(_settings(None)), output)


def _settings(kafka: str | None) -> Any:
    from squirrel.runtime.settings import load

    return load({"kafka": kafka})[0]


def _report(rows: list[dict[str, Any]], output: str) -> int:
    if output == "json":
        print(json.dumps(rows, indent=2))
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table(*(rows[0].keys() if rows else ()), box=None, header_style="bold")
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        Console().print(table)
    return 1 if any(row.get("state") in ("wrong", "missing", "dangerous") for row in rows) else 0

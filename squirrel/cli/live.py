"""`squirrel watch`: what happens, live, one line each."""

from __future__ import annotations

import json
from typing import Annotated, Any

from cyclopts import App, Parameter

from squirrel.cli.printing import cell, painted
from squirrel.cli.reach import HERE, Reach

COLOURS = {"succeeded": "green", "sent": "green", "failed": "red", "missed": "yellow", "skipped": "yellow"}


def register(app: App) -> None:
    """Add the verb."""
    app.command(watch)


def watch(
    schedule_id: str | None = None,
    /,
    *,
    event: Annotated[str | None, Parameter(help="exact, or with * at the end")] = None,
    attempts: Annotated[bool, Parameter(negative=(), help="show every attempt, not outcomes only")] = False,
    count: Annotated[int, Parameter(help="end after so many; 0 for never")] = 0,
    reach: Reach = HERE,
) -> int:
    """Show what happens while it happens: outcomes of runs, of one schedule or of all. Ends with Ctrl-C or after --count.

    What came while a lost connection was made again is not shown; `squirrel runs` has it.
    """
    shown = 0
    with reach.client() as client:
        reach.progress("Watching; Ctrl-C ends it")
        try:
            for each in client.stream(event=event, schedule=schedule_id):
                if not attempts and each.kind != "completion":
                    continue
                if reach.is_for_people:
                    print(line_of(each.kind, each.record), flush=True)
                else:
                    print(json.dumps({"kind": each.kind, **each.record}, ensure_ascii=False), flush=True)
                shown += 1
                if count and shown >= count:
                    return 0
        except KeyboardInterrupt:
            return 0
    return 0


def line_of(kind: str, record: dict[str, Any]) -> str:
    """`14:03:07.120Z  succeeded  reminder-7  email.send  run_…  200`; an attempt says its number."""
    finished = str(record.get("finished") or "")
    state = str(record.get("state") or "")
    number = f"attempt {record.get('attempt')} " if kind == "result" else ""
    error = record.get("error") or {}
    answer = record.get("status") or (error.get("detail") if isinstance(error, dict) else None) or record.get("reason")
    words = [record.get("schedule_id"), record.get("event"), record.get("run"), "" if answer is None else answer]
    said = painted(f"{number}{state}".ljust(9), COLOURS.get(state, "dim"))
    return "  ".join([finished[11:], said, *(cell(word) for word in words)]).rstrip()

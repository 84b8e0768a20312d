"""`squirrel audit list|verify`: who changed what, and whether somebody changed the record of it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from squirrel.cli.listing import API, Limit, items
from squirrel.cli.printing import done, show, table
from squirrel.cli.reach import HERE, Reach

COLUMNS: Final = ("at", "operation", "id", "revision", "outcome", "status", "actor", "credential", "address")


def register(app: App) -> None:
    """Add the group."""
    group = App(name="audit", help="Who changed what, when and from where.")
    group.command(find, name="list")
    group.command(verify)
    app.command(group)


def find(
    *,
    id: Annotated[str | None, Parameter(help="of the schedule, run, route, ...")] = None,  # noqa: A002 - the flag's name
    actor: Annotated[str | None, Parameter(help="what X-User said, or a credential's token:... name")] = None,
    outcome: Annotated[str | None, Parameter(help="done, accepted, refused or failed")] = None,
    start: Annotated[str | None, Parameter(name=["--from"], help="an instant with its zone")] = None,
    end: Annotated[str | None, Parameter(name=["--to"], help="before this instant")] = None,
    limit: Limit = 50,
    reach: Reach = HERE,
) -> int:
    """List changing calls, newest first."""
    query = {"id": id, "actor": actor, "outcome": outcome, "from": start, "to": end}
    found = items(reach, f"{API}/audit", query, limit)
    reach.show(found, COLUMNS)
    return 0


def verify(
    *,
    kafka: Annotated[str | None, Parameter(help="bootstrap servers; default: the setting kafka")] = None,
    output: Annotated[
        Literal["table", "json", "yaml"],
        Parameter(name=["--output", "-o"], help="table for people, json or yaml for programs"),
    ] = "table",
) -> int:
    """Read all records from Kafka and check their chains; exit 1 when one was changed, removed or put in between."""
    from squirrel.runtime.audit import verify_audit
    from squirrel.runtime.settings import load

    report = asyncio.run(verify_audit(load({"kafka": kafka})[0]))
    if output != "table":
        show(report, output)
    elif report["faults"]:
        print(table(report["first"], ("partition", "offset", "writer", "what")))
        print(f"{report['faults']} faults in {report['records']} records")
    else:
        done(f"{report['records']} records of {report['writers']} writers hold together")
    return 1 if report["faults"] else 0

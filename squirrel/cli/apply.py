"""`squirrel apply -f FILE`: make the server's schedules and routes what a YAML file says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from cyclopts import App, Parameter

from squirrel.cli.bar import Bar
from squirrel.cli.document_file import read_document
from squirrel.cli.plan import Change, Wanted, plan, wanted_of
from squirrel.cli.printing import cell, done, painted
from squirrel.cli.reach import HERE, Reach
from squirrel.model.errors import SettingsError

if TYPE_CHECKING:
    from squirrel.client import Client

API: Final = "/api/v1"
_SIGNS: Final = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}


def register(app: App) -> None:
    """Add the verb."""
    app.command(apply)


def apply(
    *,
    file: Annotated[str, Parameter(name=["--file", "-f"], allow_leading_hyphen=True, help="YAML or JSON; - for stdin")],
    prune: Annotated[
        bool, Parameter(negative=(), help="cancel what earlier versions of the file named and this does not")
    ] = False,
    dry_run: Annotated[bool, Parameter(negative=(), help="show the plan and stop")] = False,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative=(), help="do not ask before cancelling")] = False,
    reach: Reach = HERE,
) -> int:
    """Make schedules and routes what a file says: shows the plan, asks before it cancels anything, changes only what differs.

    The file holds `schedules` (each with an id), `routes` (pattern to route) and `set`, its name (else the file's). Schedules
    it makes carry the tag set:NAME, and pruning looks at no others. Exit 1 when a step failed; the others are done.
    """
    wanted = wanted_of(read_document(file), "stdin" if file == "-" else Path(file).stem)
    with reach.client() as client:
        changes = plan(wanted, _have(client, wanted, prune=prune), _routes(client), prune=prune)
        _show_plan(changes, reach, dry_run=dry_run)
        if dry_run or not changes:
            return 0
        cancelled = [each for each in changes if each.action == "delete"]
        if cancelled and not yes and not _agreed(len(cancelled)):
            raise SettingsError("nothing was changed; say --yes to cancel without being asked")
        failed = []
        with Bar("changes") as bar:
            for number, each in enumerate(changes, 1):
                if (text := _carry_out(client, each)) is not None:
                    failed.append(text)
                bar.at(number, len(changes))
    for text in failed:
        sys.stderr.write(f"squirrel: {cell(text)}\n")
    if reach.is_for_people:
        done(f"{len(changes) - len(failed)} of {len(changes)} changes made")
    return 1 if failed else 0


def _have(client: Client, wanted: Wanted, *, prune: bool) -> dict[str, dict[str, Any]]:
    from squirrel.client import NotFound

    found: dict[str, dict[str, Any]] = {}
    cursor: str | None = None
    while True:
        page = client.call("GET", f"{API}/schedules", tag=wanted.tag, limit=1000, cursor=cursor)
        found |= {each["id"]: each for each in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            break
    for key in wanted.schedules.keys() - found.keys():
        try:
            found[key] = client.call("GET", f"{API}/schedules/{quote(key, safe='')}")
        except NotFound:
            continue
    return found


def _routes(client: Client) -> dict[str, dict[str, Any]]:
    return {each["pattern"]: each for each in client.call("GET", f"{API}/routes")["items"]}


def _show_plan(changes: list[Change], reach: Reach, *, dry_run: bool) -> None:
    if not reach.is_for_people:
        reach.show(
            [
                {"action": c.action, "kind": c.kind, "id": c.id, "differs": {k: list(v) for k, v in c.differs.items()}}
                for c in changes
            ]
        )
        return
    for change in changes:
        sign, colour = _SIGNS[change.action]
        print(painted(f"{sign} {change.kind} {cell(change.id)}", colour))
        for name, (before, after) in change.differs.items():
            print(f"    {cell(name)}: {cell(before)} -> {cell(after)}")
    counts = ", ".join(f"{sum(c.action == action for c in changes)} to {action}" for action in _SIGNS)
    print(f"Plan: {counts}" if changes else "Nothing to change")
    if dry_run and changes:
        print("Nothing was changed (--dry-run)")


def _agreed(count: int) -> bool:
    if not sys.stdin.isatty():
        return False
    return input(f"Cancel {count} schedules that the file no longer names? [y/N] ").strip().lower() in ("y", "yes")


def _carry_out(client: Client, change: Change) -> str | None:
    """None when it is done, else why not."""
    from squirrel.client import ClientError, Unavailable

    path = f"{API}/{change.kind}s/{quote(change.id, safe='*')}"
    try:
        if change.action == "delete":
            client.delete(change.id)
        elif change.action == "create" and change.kind == "schedule":
            client.call("POST", f"{API}/schedules", change.document, repeatable=True)
        elif change.kind == "schedule":
            client.call("PATCH", path, change.document, repeatable=True)  # what the file leaves out stays
        else:
            client.call("PUT", path, change.document)
    except Unavailable:
        raise
    except ClientError as error:
        return f"{change.kind} {change.id}: {error}"
    return None

"""`squirrel export` and `squirrel import`: schedules as NDJSON, one a line, from one server to another."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

from cyclopts import App, Parameter

from squirrel.cli.bar import Bar
from squirrel.cli.listing import Filter
from squirrel.cli.plan import HIDDEN
from squirrel.cli.printing import cell, done, warn
from squirrel.cli.reach import HERE, Reach
from squirrel.model.errors import SettingsError
from squirrel.model.instants import format_instant, parse_instant

API: Final = "/api/v1"
LINE_CHARS_MAX: Final = 2 * 1024 * 1024  # a schedule with the largest message, written with escapes
SHOWN_FAILURES_MAX: Final = 20
PAUSED: Final = "paused"  # the one state that an export keeps: what was held back stays so
# What the server adds; a create must not hold it.
ANSWERED: Final = frozenset(
    {"namespace", "revision", "state", "next_run", "created_at", "updated_at", "reason", "last_run", "warnings"}
)


def register(app: App) -> None:
    """Add the verbs."""
    app.command(export)
    app.command(import_, name="import")


def export(
    *,
    file: Annotated[str, Parameter(name=["--file", "-f"], allow_leading_hyphen=True, help="- for stdout")] = "-",
    chosen: Filter = Filter(),  # noqa: B008 - frozen
    reach: Reach = HERE,
) -> int:
    """Write schedules as NDJSON, ready for import. Secret headers are not shown by any server: they are named on stderr."""
    count = 0
    target = nullcontext(sys.stdout) if file == "-" else Path(file).open("w", encoding="utf-8")  # noqa: SIM115 - closed below
    with target as out, Bar("schedules") as bar:
        for schedule in _every(reach, chosen.query()):
            document = sendable(schedule) | ({"state": PAUSED} if schedule.get("state") == PAUSED else {})
            if HIDDEN in json.dumps(document.get("target")):
                warn(
                    f"{document['id']}: a secret header of its target is hidden; write it into the file before importing"
                )
            out.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
            bar.at(count)
    sys.stderr.write(f"{count} schedules exported\n")
    return 0


def import_(
    *,
    file: Annotated[str, Parameter(name=["--file", "-f"], allow_leading_hyphen=True, help="- for stdin")] = "-",
    reach: Reach = HERE,
) -> int:
    """Create the schedules of an NDJSON file, a thousand a call; those that were paused are paused again at once.

    Those with ids are made once however often it is repeated. Exit 1 when some were refused.
    """
    source = nullcontext(sys.stdin) if file == "-" else _opened(file)
    created = failed = 0
    paused: set[str] = set()
    with source as lines, reach.client() as client, Bar("schedules") as bar:
        for number, result in enumerate(client.create_many(schedules_of(lines, paused)), 1):
            if result.ok:
                created += 1
                if result.id in paused:
                    client.pause(result.id)
            else:
                failed += 1
                if failed <= SHOWN_FAILURES_MAX:
                    warn(
                        f"schedule {number} ({result.id or 'no id'}): {(result.error or {}).get('detail', result.status)}"
                    )
            bar.at(number)
    if reach.is_for_people:
        done(f"{created} schedules imported, {failed} refused")
    else:
        reach.show({"imported": created, "refused": failed})
    return 1 if failed else 0


def schedules_of(lines: TextIO, paused: set[str] | None = None) -> Iterator[dict[str, Any]]:
    """One schedule a line; empty lines are left out. Ids of those to be paused go into `paused`. Raises SettingsError."""
    number = 0
    while line := lines.readline(LINE_CHARS_MAX + 1):
        number += 1
        if len(line) > LINE_CHARS_MAX:
            raise SettingsError(
                f"line {number} is longer than {LINE_CHARS_MAX} characters; is this NDJSON, one schedule a line?"
            )
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except json.JSONDecodeError as error:
            raise SettingsError(f"line {number} is not JSON: {error.msg} at column {error.colno}") from error
        if not isinstance(document, dict):
            raise SettingsError(f"line {number} must hold an object, it holds {cell(document)[:40]}")
        if document.get("state") == PAUSED:
            if not isinstance(document.get("id"), str):
                raise SettingsError(f"line {number} is paused and has no id; give it one")
            if paused is not None:
                paused.add(document["id"])
        yield sendable(document)


def sendable(schedule: dict[str, Any]) -> dict[str, Any]:
    """A schedule as a server answers it, as a create takes it: a delay that has begun becomes its instant."""
    document = {name: value for name, value in schedule.items() if name not in ANSWERED and value is not None}
    when = document.get("when")
    if isinstance(when, dict) and "in_seconds" in when:
        if schedule.get("next_run"):
            # The instant has its spread already.
            rest = {name: value for name, value in when.items() if name not in ("in_seconds", "spread_seconds")}
            document["when"] = {"at": schedule["next_run"], **rest}
        elif schedule.get("created_at"):  # paused: it has no next run, and its delay has begun all the same
            at_ms = parse_instant(schedule["created_at"]) + round(when["in_seconds"] * 1000)
            rest = {name: value for name, value in when.items() if name != "in_seconds"}
            document["when"] = {"at": format_instant(at_ms), **rest}
    return document


def _every(reach: Reach, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    with reach.client() as client:
        while True:
            page = client.call("GET", f"{API}/schedules", **query, limit=1000, cursor=cursor)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return


def _opened(file: str) -> TextIO:
    try:
        return Path(file).open(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from error

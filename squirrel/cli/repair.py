"""`squirrel replay`, `dead-letters` and `operations`: call again, give up, and watch how far it is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from cyclopts import App, Parameter

from squirrel.cli.json_flag import json_flag
from squirrel.cli.listing import API, EVERYTHING, Limit, Where, items
from squirrel.cli.printing import done, warn
from squirrel.cli.reach import HERE, Reach
from squirrel.model.errors import SettingsError

if TYPE_CHECKING:
    from squirrel.client.repair import Operation

LETTER_COLUMNS: Final = ("run", "schedule_id", "event", "attempts", "finished", "state", "reason")


@Parameter(name="*")
@dataclass(frozen=True)
class Pace:
    """How an operation goes."""

    rate: Annotated[float, Parameter(help="of many: how many a second")] = 50
    dry_run: Annotated[bool, Parameter(negative=(), help="say how many match and change nothing")] = False
    detach: Annotated[bool, Parameter(negative=(), help="do not wait: print the operation and end")] = False


@Parameter(name="*")
@dataclass(frozen=True)
class Edit:
    """What is different in one run that is called again."""

    message: Annotated[str | None, Parameter(help="of one: other JSON to send; @file, @- for stdin")] = None
    url: Annotated[str | None, Parameter(help="of one: another webhook to call")] = None

    def body(self) -> dict[str, Any]:
        """What a replay's body says of it."""
        body: dict[str, Any] = {} if self.message is None else {"message": json_flag("--message", self.message)}
        return body if self.url is None else {**body, "target": {"type": "http", "url": self.url}}


PACE: Final = Pace()
AS_IT_WAS: Final = Edit()


def register(app: App) -> None:
    """Add the verbs."""
    app.command(replay)
    letters = App(name="dead-letters", help="Runs that used up their attempts: list, replay, discard, reopen.")
    letters.default(dead_letters)
    letters.command(dead_letters, name="list")
    letters.command(replay_letters, name="replay")
    letters.command(discard_letters, name="discard")
    letters.command(reopen_letter, name="reopen")
    app.command(letters)
    operations = App(name="operations", help="Work on many runs or letters: list, show, watch, cancel.")
    operations.default(list_operations)
    operations.command(list_operations, name="list")
    operations.command(show_operation, name="show")
    operations.command(watch_operation, name="watch")
    operations.command(cancel_operation, name="cancel")
    app.command(operations)


def replay(
    run: Annotated[str | None, Parameter(help="run_...; without it say which")] = None,
    /,
    *,
    where: Where = EVERYTHING,
    pace: Pace = PACE,
    edit: Edit = AS_IT_WAS,
    reach: Reach = HERE,
) -> int:
    """Call again what a run called, or what every run that matches called, as new runs that name the old ones."""
    return _replay(reach, "runs", run, where, pace, edit)


def dead_letters(*, where: Where = EVERYTHING, limit: Limit = 20, reach: Reach = HERE) -> int:
    """List runs that used up their attempts, latest first, with what was made of them."""
    found = items(reach, f"{API}/dead-letters", where.words(), limit)
    reach.show(found, LETTER_COLUMNS)
    return 0


def replay_letters(
    run: Annotated[str | None, Parameter(help="run_...; without it say which")] = None,
    /,
    *,
    where: Where = EVERYTHING,
    pace: Pace = PACE,
    edit: Edit = AS_IT_WAS,
    reach: Reach = HERE,
) -> int:
    """Call a dead letter again, or every open one that matches."""
    return _replay(reach, "dead-letters", run, where, pace, edit)


def discard_letters(
    run: Annotated[str | None, Parameter(help="run_...; without it say which")] = None,
    /,
    *,
    reason: Annotated[str, Parameter(help="why nobody shall call it again")],
    where: Where = EVERYTHING,
    pace: Pace = PACE,
    reach: Reach = HERE,
) -> int:
    """Give a dead letter up, or every open one that matches; they stay in the list with the reason."""
    if run is None:
        return _many(reach, "dead-letters:discard", where, pace, {"reason": reason})
    return _mark(reach, run, "discard", {"reason": reason})


def reopen_letter(run: str, /, *, reach: Reach = HERE) -> int:
    """Take a discard back."""
    return _mark(reach, run, "reopen", None)


def list_operations(*, reach: Reach = HERE) -> int:
    """List operations, newest first."""
    with reach.client() as client:
        found = client.call("GET", f"{API}/operations")["items"]
    reach.show(found, ("id", "action", "source", "state", "matched", "done", "failed", "skipped", "began_at", "by"))
    return 0


def show_operation(operation: str, /, *, reach: Reach = HERE) -> int:
    """Show one with its filter and examples of errors."""
    with reach.client() as client:
        reach.show(client.call("GET", f"{API}/operations/{quote(operation, safe='')}")["operation"])
    return 0


def watch_operation(operation: str, /, *, reach: Reach = HERE) -> int:
    """Draw its progress until it is over; Ctrl-C ends the watching only."""
    return _watched(reach, operation)


def cancel_operation(operation: str, /, *, reach: Reach = HERE) -> int:
    """End one between two runs; what is done stays done."""
    with reach.client() as client:
        client.cancel_operation(operation)
    return _watched(reach, operation, code=0)


def _replay(reach: Reach, source: str, run: str | None, where: Where, pace: Pace, edit: Edit) -> int:
    body = edit.body()
    if run is None:
        if body:
            raise SettingsError("--message and --url change one run; name it")
        return _many(reach, f"{source}:replay", where, pace, {"rate": pace.rate})
    if where.words():
        raise SettingsError("name a run or say which ones, not both")
    with reach.client() as client:
        made = client.call("POST", f"{API}/{source}/{quote(run, safe='')}:replay", body or None)
    if reach.is_for_people:
        done(f"Replaying as {made['id']}")
    else:
        reach.show(made)
    return 0


def _mark(reach: Reach, run: str, verb: str, body: dict[str, Any] | None) -> int:
    with reach.client() as client:
        letter = client.call("POST", f"{API}/dead-letters/{quote(run, safe='')}:{verb}", body)
    if reach.is_for_people:
        done(f"{run} {letter['state']}")
    else:
        reach.show(letter)
    return 0


def _many(reach: Reach, path: str, where: Where, pace: Pace, fields: dict[str, Any]) -> int:
    if not where.words():
        raise SettingsError(
            "name a run, or say which: --state, --event, --schedule, --tag, --host, --status, --from, --to, --q"
        )
    body = {"filter": where.words(), "dry_run": pace.dry_run, **fields}
    with reach.client() as client:
        operation = client.call("POST", f"{API}/{path}", body)["operation"]
    if pace.dry_run and reach.is_for_people:
        more = "" if operation["matched_all"] else " and more"
        print(f"{operation['matched']}{more} would be {'discarded' if path.endswith('discard') else 'called again'}")
    elif pace.dry_run or pace.detach:
        reach.show(operation)
    else:
        return _watched(reach, str(operation["id"]))
    return 0


def _watched(reach: Reach, operation_id: str, code: int | None = None) -> int:
    """Draws until it is over; exit 1 when something of it failed, unless `code` says so."""
    with reach.client() as client:
        try:
            last = _drawn(reach, client.follow(operation_id))
        except KeyboardInterrupt:
            warn(f"it goes on; squirrel operations watch {operation_id}, or cancel {operation_id}")
            return 0
        shown = client.call("GET", f"{API}/operations/{operation_id}")["operation"]
    if not reach.is_for_people:
        reach.show(shown)
    else:
        counts = f"{last.done} done, {last.failed} failed, {last.skipped} skipped of {last.matched}"
        print(f"{operation_id} {last.state}: {counts}")
        for each in last.errors[:5]:
            warn(f"{each['id']} {each['outcome']}: {each['reason']}")
        if last.problem:
            warn(last.problem)
    return code if code is not None else int(last.state != "succeeded" or last.failed > 0)


def _drawn(reach: Reach, steps: Any) -> Operation:
    """A bar on a terminal's stderr; nothing where there is none."""
    last: Operation
    if not (reach.is_for_people and sys.stderr.isatty()):
        *_, last = steps
        return last
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("counting", total=None)
        for last in steps:
            total = None if last.counting else last.matched
            bar.update(
                task, completed=last.worked, total=total, description="counting" if last.counting else last.action
            )
    return last

"""Lists: schedules and runs; `--watch` draws them again and again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import Annotated, Any, Final
from urllib.parse import quote

from cyclopts import App, Parameter

from squirrel.cli.reach import HERE, Reach

API: Final = "/api/v1"
PAGE_ITEMS_MAX: Final = 1000
STATES: Final = {  # the Workflow Scheduler's words
    "active": "active,waiting", "paused": "paused", "disabled": "paused", "archived": "finished,cancelled,failed",
}  # fmt: skip
Limit = Annotated[int, Parameter(help="how many at most; 0 for all")]
Watch = Annotated[bool, Parameter(negative=(), help="again every two seconds, until Ctrl-C")]
WATCH_SECONDS: Final = 2.0


@Parameter(name="*")
@dataclass(frozen=True)
class Filter:
    """Which schedules."""

    enabled: Annotated[
        bool | None, Parameter(negative="--disabled", help="only those that run, or only those that do not")
    ] = None
    tag: str | None = None
    status: Annotated[str | None, Parameter(help="active, paused, disabled or archived; or a state of the API")] = None
    event: Annotated[str | None, Parameter(help="exact, or with * at the end")] = None
    q: Annotated[str | None, Parameter(help="text in id, name, event or description")] = None

    def query(self) -> dict[str, Any]:
        state = STATES.get(self.status, self.status) if self.status else None
        if state is None and self.enabled is not None:
            state = "active,waiting" if self.enabled else "paused"
        return {"state": state, "tag": self.tag, "event": self.event, "q": self.q}


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """Which runs or dead letters; all that is given must hold."""

    state: Annotated[str | None, Parameter(help="failed, missed, ...; of letters: open, discarded, replayed")] = None
    event: Annotated[str | None, Parameter(help="exact, or with * at the end")] = None
    schedule: str | None = None
    tag: str | None = None
    host: Annotated[str | None, Parameter(help="of the last attempt's target")] = None
    status: Annotated[str | None, Parameter(help="of the last answer: 503 or 5xx")] = None
    start: Annotated[str | None, Parameter(name=["--from"], help="an instant with its zone; at or after it")] = None
    end: Annotated[str | None, Parameter(name=["--to"], help="before this instant")] = None
    q: Annotated[str | None, Parameter(help="text in ids, event, reason, tags, error, target, answer")] = None

    def words(self) -> dict[str, Any]:
        """What was given, in the API's words."""
        said = {
            "state": self.state, "event": self.event, "schedule": self.schedule, "tag": self.tag, "host": self.host,
            "status": self.status, "from": self.start, "to": self.end, "q": self.q,
        }  # fmt: skip
        return {name: value for name, value in said.items() if value is not None}


EVERYTHING: Final = Where()


def register(app: App) -> None:
    """Add the verbs."""
    app.command(schedules, name="list")
    app.command(runs)


def schedules(*, chosen: Filter = Filter(), limit: Limit = 100, watch: Watch = False, reach: Reach = HERE) -> int:
    """List schedules, newest first."""

    def draw() -> None:
        reach.progress("Fetching schedules...")
        found = items(reach, f"{API}/schedules", chosen.query(), limit)
        reach.show([row_of(each) for each in found] if reach.is_for_people else found)

    return drawn(draw, watch=watch)


def runs(
    schedule_id: str | None = None,
    /,
    *,
    where: Where = EVERYTHING,
    limit: Limit = 20,
    watch: Watch = False,
    reach: Reach = HERE,
) -> int:
    """List runs of a schedule, or of all, newest first. With a run's id (run_...) show it with all its attempts."""

    def draw() -> None:
        if schedule_id is not None and schedule_id.startswith("run_"):
            with reach.client() as client:
                reach.show(client.call("GET", f"{API}/runs/{quote(schedule_id, safe='')}"))
            return
        words = where.words()
        if schedule_id is None or words:
            found = items(reach, f"{API}/runs", {"schedule": schedule_id} | words, limit)
        else:
            found = items(reach, f"{API}/schedules/{quote(schedule_id, safe='')}/runs", {}, limit)
        reach.show([run_row(each) for each in found] if reach.is_for_people else found)

    return drawn(draw, watch=watch)


def items(reach: Reach, path: str, query: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """As many as `limit` allows, page by page, as the API answers them."""

    def pages() -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        with reach.client() as client:
            while True:
                page = client.call(
                    "GET", path, **query, limit=min(limit or PAGE_ITEMS_MAX, PAGE_ITEMS_MAX), cursor=cursor
                )
                yield from page["items"]
                cursor = page["next_cursor"]
                if cursor is None:
                    return

    return list(islice(pages(), limit or None))


def row_of(schedule: dict[str, Any]) -> dict[str, Any]:
    """A schedule as one line."""
    return {
        "id": schedule["id"],
        "name": schedule.get("name") or schedule["event"],
        "cron": rule_of(schedule["when"]),
        "enabled": "true" if schedule["state"] in ("active", "waiting") else "false",
        "status": schedule["state"],
        "next_run": schedule["next_run"],
    }


def rule_of(when: dict[str, Any]) -> str:
    """A rule as short as it can be said."""
    if "cron" in when:
        return str(when["cron"])
    if "rrule" in when:
        return str(when["rrule"]).splitlines()[-1]
    if "every" in when:
        every = when["every"]
        return f"every {every.get('value', 1)} {every['interval']}"
    if "after" in when:
        return "after " + ", ".join(str(each["schedule"]) for each in when["after"])
    if "on_event" in when:
        return f"on {when['on_event']['event']}"
    return f"at {when['at']}" if "at" in when else "once"


def run_row(run: dict[str, Any]) -> dict[str, Any]:
    """A run as one line: where it stands, how late it started, what was answered last."""
    last = run["attempts"][-1] if run["attempts"] else {}
    error = last.get("error") or {}
    return {
        "run": run["id"],
        "schedule": run["schedule_id"],
        "event": run["event"],
        "due": run["due"],
        "state": run["state"],
        "attempts": last.get("number", 0),
        "answer": last.get("status") or error.get("type") or run.get("reason"),
    }


def drawn(draw: Callable[[], None], *, watch: bool) -> int:
    """Draws once, or until Ctrl-C."""
    if not watch:
        draw()
        return 0
    pause = Event()
    try:
        while True:
            if sys.stdout.isatty():
                print("\x1b[2J\x1b[H", end="")
            draw()
            sys.stdout.flush()
            pause.wait(WATCH_SECONDS)
    except KeyboardInterrupt:
        return 0

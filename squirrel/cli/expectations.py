"""`squirrel expectations`: what should have run and did not, as the watchdog sees it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from squirrel.cli.listing import API, Watch, drawn
from squirrel.cli.reach import HERE, Reach

COLUMNS: Final = {
    "overdue": ("schedule_id", "event", "due", "late_ms", "missing_count"),
    "unanswered": ("schedule_id", "run", "attempt", "event", "emitted", "expected_by"),
    "coming": ("schedule_id", "event", "due"),
    "ended": ("schedule_id", "run", "event", "state", "due", "emitted", "delivered"),
}


def register(app: App) -> None:
    """Add the verb."""
    app.command(expectations)


def expectations(
    *,
    state: Annotated[
        Literal["overdue", "unanswered", "coming", "ended"],
        Parameter(help="overdue: nothing was done; unanswered: no result; coming; ended: the newest"),
    ] = "overdue",
    schedule: Annotated[str | None, Parameter(help="of this schedule only")] = None,
    limit: Annotated[int, Parameter(help="1 to 1000")] = 50,
    watch: Watch = False,
    reach: Reach = HERE,
) -> int:
    """List what is expected, and what did not happen; exit 1 when something is overdue or has no result."""
    late = 0

    def draw() -> None:
        nonlocal late
        with reach.client() as client:
            found = client.call("GET", f"{API}/expectations", state=state, schedule=schedule, limit=limit)
        late = found["counts"]["overdue"] + found["counts"]["unanswered"]
        reach.show(found["items"] if reach.is_for_people else found, COLUMNS[state])

    drawn(draw, watch=watch)
    return int(late > 0)

"""Our own verbs on one schedule: get pause resume cancel; and stats of all."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from cyclopts import App

from squirrel.cli.printing import done
from squirrel.cli.reach import HERE, Reach

API: Final = "/api/v1"


def register(app: App) -> None:
    """Add the verbs."""
    for verb in (get, pause, resume, cancel, stats):
        app.command(verb)


def path_of(schedule_id: str, verb: str = "") -> str:
    return f"{API}/schedules/{quote(schedule_id, safe='')}{verb}"


def get(schedule_id: str, /, *, reach: Reach = HERE) -> int:
    """Show all of a schedule, in the API's words."""
    with reach.client() as client:
        reach.show(client.call("GET", path_of(schedule_id)))
    return 0


def pause(schedule_id: str, /, *, reach: Reach = HERE) -> int:
    """Hold a schedule; what falls due meanwhile follows its missed policy."""
    return _verb(schedule_id, "pause", "paused", reach)


def resume(schedule_id: str, /, *, reach: Reach = HERE) -> int:
    """Let a paused schedule go on."""
    return _verb(schedule_id, "resume", "resumed", reach)


def cancel(schedule_id: str, /, *, reach: Reach = HERE) -> int:
    """Cancel a schedule; exit 4 with the run's state when it was faster."""
    with reach.client() as client:
        answer = client.call("DELETE", path_of(schedule_id)) or {"id": schedule_id, "state": "cancelled"}
    if not reach.is_for_people:
        reach.show(answer)
    elif "run" in answer:
        done(f"{schedule_id} cancelled: {answer['run']['id']} is still under way, and its call is the last")
    else:
        done(f"{schedule_id} cancelled: nothing of it will be called any more")
    return 0


def stats(*, reach: Reach = HERE) -> int:
    """Show counters, lateness and backlog."""
    with reach.client() as client:
        reach.show(client.call("GET", f"{API}/stats"))
    return 0


def _verb(schedule_id: str, verb: str, sentence: str, reach: Reach) -> int:
    with reach.client() as client:
        answer = client.call("POST", path_of(schedule_id, f":{verb}"), repeatable=True)
    if reach.is_for_people:
        done(f"{schedule_id} {sentence}")
    else:
        reach.show(answer)
    return 0

"""What is coming, what was changed, and changes to many: upcoming revisions rollback bulk shift."""

from __future__ import annotations

from threading import Event
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import App, Parameter

from squirrel.cli.changing import path_of
from squirrel.cli.listing import STATES
from squirrel.cli.printing import done, warn
from squirrel.cli.reach import HERE, Reach
from squirrel.cli.schedule import seconds_of

API: Final = "/api/v1"
POLL_SECONDS: Final = 0.5


def register(app: App) -> None:
    """Add the verbs."""
    for verb in (upcoming, revisions, rollback, bulk, shift):
        app.command(verb)


def upcoming(
    *,
    start: Annotated[str | None, Parameter(help="an instant; now when left out")] = None,
    end: Annotated[str | None, Parameter(help="an instant; a day later when left out")] = None,
    bucket: Annotated[str | None, Parameter(help="minute, hour, day or a number of seconds")] = None,
    reach: Reach = HERE,
) -> int:
    """Count the coming runs of all schedules by bucket, so that a spike is seen before it comes."""
    with reach.client() as client:
        query: dict[str, Any] = {"from": start, "to": end, "bucket": bucket}
        found = client.call("GET", f"{API}/upcoming", **query)
    if not reach.is_for_people:
        reach.show(found)
        return 0
    busiest = found["busiest"]
    rows = [
        {
            "from": each["start"],
            "runs": each["count"],
            "most_of": ", ".join(top["id"] for top in each["top"][:3]),
            "": "busiest" if busiest and each["start"] == busiest["start"] else None,
        }
        for each in found["buckets"]
    ]
    reach.show(
        [{name: value for name, value in row.items() if name or value} for row in rows], ("from", "runs", "most_of")
    )
    print(f"{found['total']} runs until {found['to']}" + (f", most from {busiest['start']}" if busiest else ""))
    for text in found.get("warnings", ()):
        warn(text)
    return 0


def revisions(schedule_id: str, number: int | None = None, /, *, reach: Reach = HERE) -> int:
    """List the revisions of a schedule that are kept; with a number show that one and what differs from now."""
    with reach.client() as client:
        if number is not None:
            reach.show(client.call("GET", f"{path_of(schedule_id)}/revisions/{number}"))
            return 0
        reach.show(client.call("GET", f"{path_of(schedule_id)}/revisions")["items"])
    return 0


def rollback(schedule_id: str, number: int, /, *, reach: Reach = HERE) -> int:
    """Restore the content of a former revision, as a new one."""
    with reach.client() as client:
        made = client.call("POST", path_of(schedule_id, ":rollback"), {"revision": number})
    if reach.is_for_people:
        done(f"{schedule_id} is as it was in revision {number}, now revision {made.get('revision', '-')}")
    else:
        reach.show(made)
    return 0


def bulk(
    action: Literal["pause", "resume", "cancel", "tag"],
    /,
    *,
    event: str | None = None,
    tag: str | None = None,
    status: Annotated[str | None, Parameter(help="active, paused, or a state of the API")] = None,
    add_tag: Annotated[tuple[str, ...], Parameter(negative=(), help="with tag: what is added")] = (),
    dry_run: Annotated[bool, Parameter(negative=(), help="only count what matches")] = False,
    reach: Reach = HERE,
) -> int:
    """Pause, resume, cancel or tag every schedule that matches, and wait for it. `squirrel shift` moves one-shots."""
    body = {"filter": _filter(event, tag, status), "action": action, "dry_run": dry_run}
    return _operation(body | ({"tags": list(add_tag)} if add_tag else {}), reach)


def shift(
    by: Annotated[str, Parameter(name="--by", allow_leading_hyphen=True, help="1h30m, or -1h for earlier")],
    *,
    event: str | None = None,
    tag: str | None = None,
    status: str | None = None,
    dry_run: Annotated[bool, Parameter(negative=(), help="only count what matches")] = False,
    reach: Reach = HERE,
) -> int:
    """Move every one-shot that matches, later or earlier."""
    seconds = -seconds_of("--by", by[1:]) if by.startswith("-") else seconds_of("--by", by)
    return _operation(
        {"filter": _filter(event, tag, status), "action": "shift", "seconds": seconds, "dry_run": dry_run}, reach
    )


def _filter(event: str | None, tag: str | None, status: str | None) -> dict[str, Any]:
    states = STATES.get(status, status).split(",") if status else None
    return {name: value for name, value in {"event": event, "tag": tag, "state": states}.items() if value}


def _operation(body: dict[str, Any], reach: Reach) -> int:
    pause = Event()
    with reach.client() as client:
        operation = client.call("POST", f"{API}/schedules:bulk", body)["operation"]
        while operation["state"] == "running":
            pause.wait(POLL_SECONDS)
            path = f"{API}/operations/{quote(operation['id'], safe='')}"
            operation = client.call("GET", path)["operation"]
    if not reach.is_for_people:
        reach.show(operation)
    else:
        counts = ", ".join(f"{operation[name]} {name}" for name in ("matched", "done", "skipped", "failed"))
        print(f"{counts} (nothing was changed)" if body["dry_run"] else counts)
        for each in operation.get("errors", ()):
            warn(f"{each['id']}: {each['reason']}")
    return 0 if operation["state"] == "succeeded" else 1

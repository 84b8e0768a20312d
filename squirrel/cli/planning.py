"""What is coming, what was changed, and changes to many: upcoming preview-resume revisions diff rollback bulk shift."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import App, Parameter

from squirrel.cli.bar import Bar
from squirrel.cli.changing import path_of
from squirrel.cli.listing import STATES, Watch, drawn
from squirrel.cli.printing import done, warn
from squirrel.cli.reach import HERE, Reach
from squirrel.cli.schedule import seconds_of

API: Final = "/api/v1"
POLL_SECONDS: Final = 0.5
SPIKE_CHARS: Final = 20  # of the busiest bucket


@Parameter(name="*")
@dataclass(frozen=True)
class Matching:
    """Which schedules; all that is said must hold."""

    event: Annotated[str | None, Parameter(help="exact, or with * at the end")] = None
    tag: str | None = None
    group: str | None = None
    template: Annotated[str | None, Parameter(help="the template they were made from")] = None
    q: Annotated[str | None, Parameter(help="text in id, name, event or description")] = None
    status: Annotated[str | None, Parameter(help="active, paused, or a state of the API")] = None

    def document(self) -> dict[str, Any]:
        """The API's `filter`."""
        found = {name: getattr(self, name) for name in ("event", "tag", "group", "template", "q")}
        found["state"] = STATES.get(self.status, self.status).split(",") if self.status else None
        return {name: value for name, value in found.items() if value}


ALL: Final = Matching()


def register(app: App) -> None:
    """Add the verbs."""
    for verb in (upcoming, revisions, diff, rollback, bulk, shift):
        app.command(verb)
    app.command(preview_resume, name="preview-resume")


def upcoming(
    *,
    start: Annotated[str | None, Parameter(help="an instant; now when left out")] = None,
    end: Annotated[str | None, Parameter(help="an instant; a day later when left out")] = None,
    bucket: Annotated[str | None, Parameter(help="minute, hour, day or a number of seconds")] = None,
    watch: Watch = False,
    reach: Reach = HERE,
) -> int:
    """Count the coming runs of all schedules by bucket, so that a spike is seen before it comes."""
    query: dict[str, Any] = {"from": start, "to": end, "bucket": bucket}
    return drawn(lambda: _draw_upcoming(query, reach), watch=watch)


def _draw_upcoming(query: dict[str, Any], reach: Reach) -> None:
    with reach.client() as client:
        found = client.call("GET", f"{API}/upcoming", **query)
    if not reach.is_for_people:
        reach.show(found)
        return
    busiest = found["busiest"]
    rows = [
        {
            "from": each["start"],
            "runs": each["count"],
            "share": spike(each["count"], busiest["count"]),
            "most_of": ", ".join(top["id"] for top in each["top"][:3]),
        }
        for each in found["buckets"]
    ]
    reach.show(rows, ("from", "runs", "share", "most_of"))
    print(f"{found['total']} runs until {found['to']}" + (f", most from {busiest['start']}" if busiest else ""))
    for text in found.get("warnings", ()):
        warn(text)


def spike(count: int, most: int) -> str:
    """A bar as long as its share of the busiest bucket, never empty for what is not."""
    return "█" * max(1, round(SPIKE_CHARS * count / most))


def preview_resume(schedule_id: str, /, *, reach: Reach = HERE) -> int:
    """Say which runs a schedule owes and what a resume would make of each; changes nothing."""
    with reach.client() as client:
        found = client.call("POST", path_of(schedule_id, ":preview-resume"), repeatable=True)
    if not reach.is_for_people:
        reach.show(found)
        return 0
    reach.show(found["runs"], ("slot", "due", "outcome", "reason"))
    print(f"{found['owed']} owed, {found['would_run']} would run, by missed: {found['missed']}")
    if found["next_slot"]:
        print(f"then on from {found['next_slot']}")
    for text in found.get("warnings", ()):
        warn(text)
    return 0


def diff(schedule_id: str, before: int, after: int | None = None, /, *, reach: Reach = HERE) -> int:
    """Show what differs between two revisions of a schedule; with one number, from that one to what holds now."""
    with reach.client() as client:
        path = f"{path_of(schedule_id)}/revisions"
        found = client.call("GET", f"{path}/{before}", against=after)["diff"]
    reach.show(found, ("field", "before", "after"))
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
    matching: Matching = ALL,
    add_tag: Annotated[tuple[str, ...], Parameter(negative=(), help="with tag: what is added")] = (),
    dry_run: Annotated[bool, Parameter(negative=(), help="only count what matches")] = False,
    reach: Reach = HERE,
) -> int:
    """Pause, resume, cancel or tag every schedule that matches, and wait for it. `squirrel shift` moves one-shots."""
    body = {"filter": matching.document(), "action": action, "dry_run": dry_run}
    return _operation(body | ({"tags": list(add_tag)} if add_tag else {}), reach)


def shift(
    by: Annotated[str, Parameter(name="--by", allow_leading_hyphen=True, help="1h30m, or -1h for earlier")],
    *,
    matching: Matching = ALL,
    dry_run: Annotated[bool, Parameter(negative=(), help="only count what matches")] = False,
    reach: Reach = HERE,
) -> int:
    """Move every one-shot that matches, later or earlier."""
    seconds = -seconds_of("--by", by[1:]) if by.startswith("-") else seconds_of("--by", by)
    return _operation({"filter": matching.document(), "action": "shift", "seconds": seconds, "dry_run": dry_run}, reach)


def _operation(body: dict[str, Any], reach: Reach) -> int:
    pause = Event()
    with reach.client() as client, Bar("schedules") as bar:
        operation = client.call("POST", f"{API}/schedules:bulk", body)["operation"]
        while operation["state"] == "running":
            pause.wait(POLL_SECONDS)
            path = f"{API}/operations/{quote(operation['id'], safe='')}"
            operation = client.call("GET", path)["operation"]
            bar.at(operation["done"] + operation["skipped"] + operation["failed"], operation["matched"])
    if not reach.is_for_people:
        reach.show(operation)
    else:
        counts = ", ".join(f"{operation[name]} {name}" for name in ("matched", "done", "skipped", "failed"))
        print(f"{counts} (nothing was changed)" if body["dry_run"] else counts)
        for each in operation.get("errors", ()):
            warn(f"{each['id']}: {each['reason']}")
    return 0 if operation["state"] == "succeeded" else 1

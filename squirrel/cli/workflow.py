"""The Workflow Scheduler's verbs on a schedule, with its flags and its printed lines; `--output json` prints the answer alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import App, Parameter

from squirrel.cli.json_flag import json_flag
from squirrel.cli.listing import Watch, drawn
from squirrel.cli.printing import done
from squirrel.cli.reach import HERE, Reach

API: Final = "/api/schedules"


@Parameter(name="*")
@dataclass(frozen=True)
class NewWorkflow:
    """What `create` may say beside the three it needs."""

    timezone: Annotated[str, Parameter(help="an IANA zone")] = "UTC"
    overlap_policy: Literal["skip", "queue", "allow"] = "skip"
    max_retries: int = 3
    retry_strategy: Literal["exponential", "linear", "fixed"] = "exponential"
    timeout: Annotated[int, Parameter(help="seconds one call may take")] = 300
    catch_up: Annotated[bool, Parameter(negative=(), help="make up for every missed run")] = False
    tag: Annotated[tuple[str, ...], Parameter(negative=(), help="may be repeated")] = ()
    payload: Annotated[str, Parameter(help="JSON that the target receives")] = "{}"


def register(app: App) -> None:
    """Add the verbs."""
    for verb in (create, show, update, enable, disable, delete, trigger, status):
        app.command(verb)
    app.command(next_runs, name="next-runs")


def path_of(schedule_id: str, rest: str = "") -> str:
    return f"{API}/{quote(schedule_id, safe='')}{rest}"


def create(
    *,
    name: Annotated[str, Parameter(help="what people call it")],
    cron: Annotated[str, Parameter(help="five fields, six with seconds first, or @hourly and its like")],
    url: Annotated[str, Parameter(help="the webhook to call")],
    details: NewWorkflow = NewWorkflow(),
    reach: Reach = HERE,
) -> int:
    """Create a cron schedule that calls a webhook. `squirrel schedule` makes every other kind."""
    reach.progress(f"Creating schedule: {name}")
    body = {
        "name": name,
        "cron_expression": cron,
        "target_type": "webhook",
        "target_url": url,
        "timezone": details.timezone,
        "overlap_policy": details.overlap_policy,
        "max_retries": details.max_retries,
        "retry_strategy": details.retry_strategy,
        "timeout_seconds": details.timeout,
        "catch_up_missed": details.catch_up,
        "target_payload": json_flag("--payload", details.payload),
        "tags": list(details.tag),
    }
    with reach.client() as client:
        made = client.call("POST", API, body)
        if not reach.is_for_people:
            reach.show(made)
            return 0
        done("Schedule created successfully")
        print(f"Schedule ID: {made['id']}")
        print(f"Next run: {made.get('next_run')}")
    return 0


def show(schedule_id: str, /, *, reach: Reach = HERE) -> int:
    """Show a schedule in the Workflow Scheduler's words; `squirrel get` shows all of it."""
    reach.progress("Fetching schedule details...")
    with reach.client() as client:
        reach.show(client.call("GET", path_of(schedule_id)))
    return 0


def update(
    schedule_id: str,
    /,
    *,
    name: str | None = None,
    cron: str | None = None,
    url: str | None = None,
    timezone: str | None = None,
    max_retries: int | None = None,
    reach: Reach = HERE,
) -> int:
    """Change what is named, leave the rest."""
    reach.progress(f"Updating schedule {schedule_id}...")
    fields: dict[str, Any] = {
        "name": name, "cron_expression": cron, "target_url": url, "timezone": timezone, "max_retries": max_retries,
    }  # fmt: skip
    body = {key: value for key, value in fields.items() if value is not None}
    with reach.client() as client:
        _report(reach, client.call("PUT", path_of(schedule_id), body), "Schedule updated successfully")
    return 0


def enable(schedule_id: str, /, *, reach: Reach = HERE) -> int:
    """Let a disabled schedule run again, from now on."""
    reach.progress(f"Enabling schedule {schedule_id}...")
    with reach.client() as client:
        answer = client.call("POST", path_of(schedule_id, "/enable"), repeatable=True)
        _report(reach, answer, "Schedule enabled")
    return 0


def disable(schedule_id: str, /, *, reach: Reach = HERE) -> int:
    """Stop a schedule from running until it is enabled."""
    reach.progress(f"Disabling schedule {schedule_id}...")
    with reach.client() as client:
        answer = client.call("POST", path_of(schedule_id, "/disable"), repeatable=True)
        _report(reach, answer, "Schedule disabled")
    return 0


def delete(schedule_id: str, /, *, reach: Reach = HERE) -> int:
    """Cancel a schedule for good; exit 4 when its run was faster."""
    reach.progress(f"Deleting schedule {schedule_id}...")
    with reach.client() as client:
        client.delete(schedule_id)
    _report(reach, {"result": "success"}, "Schedule deleted successfully")
    return 0


def trigger(schedule_id: str, /, *, reach: Reach = HERE) -> int:
    """Run a schedule now, beside its rule."""
    reach.progress(f"Triggering schedule {schedule_id}...")
    with reach.client() as client:
        answer = client.call("POST", path_of(schedule_id, "/trigger"))
        _report(reach, answer, "Schedule triggered")
        if reach.is_for_people:
            print(f"Execution ID: {answer['execution_id']}")
    return 0


def status(schedule_id: str, /, *, watch: Watch = False, reach: Reach = HERE) -> int:
    """Say in five lines how a schedule is."""
    return drawn(lambda: _draw_status(schedule_id, reach), watch=watch)


def _draw_status(schedule_id: str, reach: Reach) -> None:
    reach.progress("Checking schedule status...")
    with reach.client() as client:
        found = client.call("GET", path_of(schedule_id))
    names = ("status", "enabled", "last_run", "next_run", "consecutive_failures")
    shown = {name: found.get(name) for name in names}
    if not reach.is_for_people:
        reach.show(shown)
        return
    for name, value in shown.items():
        text = "-" if value is None else json.dumps(value) if isinstance(value, bool) else value
        print(f"{name.replace('_', ' ').title()}: {text}")


def next_runs(schedule_id: str, /, *, count: int = 10, reach: Reach = HERE) -> int:
    """List when a schedule runs next, in its own zone."""
    reach.progress(f"Calculating next {count} runs...")
    with reach.client() as client:
        runs = client.call("GET", path_of(schedule_id, "/next-runs"), count=count)["next_runs"]
    if reach.is_for_people:
        print("\n".join(runs) if runs else "no run is planned")
    else:
        reach.show(runs)
    return 0


def _report(reach: Reach, answer: Any, sentence: str) -> None:
    if reach.is_for_people:
        done(sentence)
    else:
        reach.show(answer)

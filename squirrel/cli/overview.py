"""The Workflow Scheduler's verbs about runs, health and rules: history retry metrics dashboard validate presets health."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from cyclopts import App, Parameter

from squirrel.cli.listing import Watch, drawn
from squirrel.cli.printing import done, painted, table
from squirrel.cli.reach import HERE, Reach
from squirrel.cli.workflow import path_of


def register(app: App) -> None:
    """Add the verbs."""
    for verb in (history, retry, metrics, dashboard, validate, presets, health):
        app.command(verb)


def history(schedule_id: str, /, *, limit: int = 20, watch: Watch = False, reach: Reach = HERE) -> int:
    """List a schedule's newest executions; `squirrel runs` shows their attempts."""
    return drawn(lambda: _draw_history(schedule_id, limit, reach), watch=watch)


def _draw_history(schedule_id: str, limit: int, reach: Reach) -> None:
    reach.progress("Fetching execution history...")
    with reach.client() as client:
        found = client.call("GET", path_of(schedule_id, "/executions"), limit=limit)
    if not reach.is_for_people:
        reach.show(found)
        return
    rows = [
        {
            "execution_id": each["id"],
            "scheduled": each["scheduled_time"],
            "status": each["status"],
            "duration": f"{each['duration_ms']}ms" if "duration_ms" in each else None,
        }
        for each in found
    ]
    reach.show(rows)


def retry(execution_id: str, /, *, reach: Reach = HERE) -> int:
    """Call again what an execution called, as a new execution."""
    reach.progress(f"Retrying execution {execution_id}...")
    with reach.client() as client:
        answer = client.call("POST", f"/api/executions/{quote(execution_id, safe='')}/retry")
    if not reach.is_for_people:
        reach.show(answer)
        return 0
    done("Retry initiated")
    print(f"Execution ID: {answer['execution_id']}")
    return 0


def metrics(schedule_id: str, /, *, reach: Reach = HERE) -> int:
    """Show success rate, durations and health score of a schedule."""
    reach.progress("Fetching metrics...")
    with reach.client() as client:
        reach.show(client.call("GET", path_of(schedule_id, "/metrics")))
    return 0


def dashboard(*, watch: Watch = False, reach: Reach = HERE) -> int:
    """Show how many schedules and executions there are, and how many succeeded."""

    def draw() -> None:
        reach.progress("Fetching dashboard statistics...")
        with reach.client() as client:
            reach.show(client.call("GET", "/api/dashboard/stats"))

    return drawn(draw, watch=watch)


def validate(cron: Annotated[str, Parameter(help="the expression, quoted")], /, *, reach: Reach = HERE) -> int:
    """Say whether a cron expression is right, and when it runs next. Exit 0 either way: the answer is the answer."""
    reach.progress("Validating cron expression...")
    with reach.client() as client:
        answer = client.call("GET", "/api/cron/validate", expression=cron)
    if not reach.is_for_people:
        reach.show(answer)
    elif answer["valid"]:
        done("Valid cron expression")
        print("Next runs:", *answer["next_runs"], sep="\n")
    else:
        print(painted("✗ Invalid cron expression", "red"))
        print(f"Error: {answer.get('error')}")
    return 0


def presets(*, reach: Reach = HERE) -> int:
    """List cron expressions to start from."""
    with reach.client() as client:
        found = client.call("GET", "/api/cron/presets")
    if not reach.is_for_people:
        reach.show(found)
        return 0
    print("Available cron presets:")
    print(table(found, ("name", "expression", "description")))
    return 0


def health(*, reach: Reach = HERE) -> int:
    """Say whether a schedule sent now would fire; exit 5 when not."""
    reach.progress("Checking system health...")
    with reach.client() as client:
        answer = client.call("GET", "/health")
        client.call("GET", "/readyz")
    if reach.is_for_people:
        done("System healthy")
    reach.show(answer)
    return 0

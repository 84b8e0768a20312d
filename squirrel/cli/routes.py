"""`squirrel routes`: where events go whose schedules name no target."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import quote

from cyclopts import App, Parameter

from squirrel.cli.json_flag import json_flag
from squirrel.cli.printing import done
from squirrel.cli.reach import HERE, Reach
from squirrel.cli.schedule import CALL, Calling
from squirrel.model.errors import SettingsError

API: Final = "/api/v1/routes"
Pattern = Annotated[str, Parameter(help="an event, or a pattern such as email.*")]


def register(app: App) -> None:
    """Add the group."""
    group = App(name="routes", help="Where events go whose schedules name no target.")
    group.command(listed, name="list")
    group.command(put)
    group.command(delete)
    app.command(group)


def listed(*, reach: Reach = HERE) -> int:
    """List all routes."""
    with reach.client() as client:
        found: list[dict[str, Any]] = client.call("GET", API)["items"]
    reach.show(found, ("pattern", "target", "retry", "updated_at"))
    return 0


def put(
    pattern: Pattern,
    /,
    *,
    call: Calling = CALL,
    retry: Annotated[str | None, Parameter(help='JSON: {"max_retries": 5}')] = None,
    reach: Reach = HERE,
) -> int:
    """Say where the events of a pattern go, now and for schedules that are already there."""
    body = call.document()
    if body.pop("message", None) is not None or "target" not in body:
        raise SettingsError("a route needs --url or --topic, and has no message of its own")
    if retry is not None:
        body["retry"] = json_flag("--retry", retry)
    with reach.client() as client:
        answer = client.call("PUT", f"{API}/{quote(pattern, safe='*')}", body)
    if reach.is_for_people:
        done(f"{pattern} goes to {call.url or call.topic}")
    else:
        reach.show(answer)
    return 0


def delete(pattern: Pattern, /, *, reach: Reach = HERE) -> int:
    """Remove a route. A run that is due and finds no target fails and says so."""
    with reach.client() as client:
        client.delete_route(pattern)
    if reach.is_for_people:
        done(f"{pattern} has no route any more")
    return 0

"""`squirrel breakers`: hosts that fail, and the way back to those that are not called any more."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import quote

from cyclopts import App, Parameter

from squirrel.cli.printing import done
from squirrel.cli.reach import HERE, Reach

API: Final = "/api/v1/breakers"
COLUMNS: Final = ("name", "state", "failing_since", "failures", "put_off", "last_error")


def register(app: App) -> None:
    """Add the group."""
    group = App(name="breakers", help="Hosts that fail, and which of them are not called just now.")
    group.command(listed, name="list")
    group.command(close)
    app.command(group)


def listed(*, reach: Reach = HERE) -> int:
    """List hosts with trouble, the worst first. A disabled one is not called until somebody closes its breaker."""
    with reach.client() as client:
        found: list[dict[str, Any]] = client.call("GET", API)["items"]
    reach.show(found, COLUMNS)
    return 0


def close(
    name: Annotated[str, Parameter(help="as `breakers list` shows it: https:hooks.example.com")],
    /,
    *,
    reach: Reach = HERE,
) -> int:
    """Call a host again, at once. Its dead letters are replayed by `squirrel replay`."""
    with reach.client() as client:
        answer = client.call("POST", f"{API}/{quote(name, safe=':')}:close", repeatable=True)
    if reach.is_for_people:
        done(f"{name} is called again")
    else:
        reach.show(answer)
    return 0

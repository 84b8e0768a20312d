"""`squirrel settings`: what is in force, secrets hidden."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from cyclopts import App, Parameter

Output = Annotated[Literal["table", "json"], Parameter(help="table for people, json for programs")]


def register(app: App) -> None:
    """Add the verb."""
    app.command(settings)


def settings(*, output: Output = "table") -> int:
    """Show every setting as the services would see it now, from defaults, .env and environment."""
    from squirrel.runtime.settings import PREFIX, load

    found, notes = load()
    values = found.model_dump(mode="json")
    if output == "json":
        print(json.dumps(values, indent=2))
        return 0
    width = max(len(name) for name in values) + len(PREFIX)
    for name, value in values.items():
        print(f"{PREFIX + name.upper():<{width}}  {value}")
    for note in notes:
        print(f"note: {note}")
    return 0

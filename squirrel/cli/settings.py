"""`squirrel settings`: what is in force, secrets hidden; or every setting with its default, as a `.env` to start from."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

Output = Annotated[
    Literal["table", "json", "env"],
    Parameter(help="table for people, json for programs; env: the defaults, as .env.example has them"),
]

_SETTING: Final = re.compile(r"(?P<name>[a-z][a-z0-9_]*) *= *(?P<value>\"[^\"]*\"|[^#\"]*?) *# *(?P<says>\S.*)")
_SECTION: Final = re.compile(r"# -+ (?P<title>.*?) -+")
_HEAD: Final = """\
# Every setting with its default. Copy this file to .env and take the # off what you change; the environment wins over .env,
# a flag over both. An unknown SQUIRREL_ name or a contradiction stops the start with one sentence.
# Generated from squirrel/runtime/defaults.toml: squirrel settings --output env > .env.example
"""


def register(app: App) -> None:
    """Add the verb."""
    app.command(settings)


def settings(*, output: Output = "table") -> int:
    """Show every setting as the services would see it now, from defaults, .env and environment."""
    from squirrel.runtime.settings import DEFAULTS, PREFIX, load

    if output == "env":
        print(example(DEFAULTS, PREFIX), end="")
        return 0
    found, notes = load()
    values = found.shown()
    if output == "json":
        print(json.dumps(values, indent=2))
        return 0
    width = max(len(name) for name in values) + len(PREFIX)
    for name, value in values.items():
        print(f"{PREFIX + name.upper():<{width}}  {value}")
    for note in notes:
        print(f"note: {note}")
    return 0


def example(defaults: Path, prefix: str) -> str:
    """`.env.example`: each setting commented out, under the sentence that `defaults.toml` has beside it.

    Raises ValueError for a line of the file that is neither a setting with its sentence nor a section.
    """
    lines = [_HEAD.rstrip("\n")]
    for number, line in enumerate(defaults.read_text(encoding="utf-8").splitlines(), 1):
        if match := _SETTING.fullmatch(line):
            lines += [f"# {match['says']}", f"#{prefix}{match['name'].upper()}={_as_text(match['value'])}"]
        elif match := _SECTION.fullmatch(line):
            lines += ["", f"# --- {match['title']} ---"]
        elif line and not line.startswith("#"):
            raise ValueError(f"{defaults.name}:{number}: write a setting as `name = value  # what it means`")
    return "\n".join(lines) + "\n"


def _as_text(value: str) -> str:
    """A TOML value as an environment variable has it."""
    read = tomllib.loads(f"value = {value}")["value"]
    return str(read).lower() if isinstance(read, bool) else str(read)

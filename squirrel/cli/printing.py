"""How answers are shown: aligned tables for people, JSON or YAML for programs; colour only on a terminal that wants it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TextIO

from cyclopts import Parameter

Output = Annotated[
    Literal["table", "json", "yaml"],
    Parameter(name=["--output", "-o"], help="table for people, json or yaml for programs"),
]
Row = Mapping[str, Any]
_CODES: Final = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2"}


def is_coloured(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Colour on a terminal, unless NO_COLOR says otherwise."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def painted(text: str, colour: str, stream: TextIO | None = None) -> str:
    """`text` in green, red, yellow, bold or dim, where that is wanted."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if is_coloured(stream or sys.stdout, os.environ) else text


def table(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    """Aligned columns under their names in capitals. Nothing is cut off: what is piped must be whole."""
    names = list(columns or (rows[0].keys() if rows else ()))
    cells = [[cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(name), *(len(row[at]) for row in cells), 0) for at, name in enumerate(names)]
    heads = [name.upper() for name in names]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in [heads, *cells]
    ]
    return "\n".join([painted(lines[0], "bold"), *lines[1:]])


def cell(value: object) -> str:
    """One value on one line. Control characters are shown, not obeyed: names come from other people."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else " " for char in str(value))


def show(value: Any, output: str, columns: Sequence[str] | None = None) -> None:
    """Prints rows as a table (a lone document as JSON), or anything as JSON or YAML."""
    if output == "yaml":
        import yaml

        print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), end="")
    elif output == "table" and isinstance(value, list):
        print(table(value, columns) if value else painted("nothing found", "dim"))
    else:
        print(json.dumps(value, indent=2, ensure_ascii=False))


def done(text: str) -> None:
    """`✓ …`: it worked."""
    print(painted(f"✓ {text}", "green"))


def warn(text: str) -> None:
    """A line on stderr that does not spoil what is piped."""
    sys.stderr.write(painted(f"warning: {cell(text)}", "yellow", sys.stderr) + "\n")

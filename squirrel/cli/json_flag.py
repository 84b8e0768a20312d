"""JSON given on a command line: in place, from a file (`@file`), or from stdin (`@-`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from squirrel.model.errors import SettingsError


def json_flag(flag: str, text: str) -> Any:
    """The value. Raises SettingsError (exit 2) naming the flag and where the JSON breaks off."""
    if text.startswith("@"):
        text = _file(flag, text[1:])
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise SettingsError(f"""{flag} is not JSON ({error.msg}, {where}); quote a text: '"hello"'""") from error


def _file(flag: str, name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{flag}: {name} cannot be read: {error}") from error

"""Readers of single values: each gives the value, or None and a problem that tells the limit and the fix."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from squirrel.model.errors import Problem
from squirrel.model.instants import InstantError, parse_instant
from squirrel.wire.documents.json_text import visible

Problems = list[Problem]


def shown(value: Any) -> str:
    """A value as an error may quote it."""
    if isinstance(value, str):
        return f'"{visible(value)}"'
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return json.dumps(value)[:40]


def read_text(field: str, value: Any, problems: Problems, chars_max: int, chars_min: int = 1) -> str | None:
    """Printable text within limits, no control characters, no blanks at its ends."""
    if not isinstance(value, str):
        problems.append(Problem(field, f"must be a string, is {shown(value)}"))
    elif not chars_min <= len(value) <= chars_max:
        problems.append(Problem(field, f"must have {chars_min} to {chars_max} characters, has {len(value)}"))
    elif not value.isprintable():
        problems.append(Problem(field, "holds a control character, a line end or NUL; send printable characters only"))
    elif value[:1] == " " or value[-1:] == " ":
        problems.append(Problem(field, "begins or ends with a blank; remove it"))
    else:
        return value
    return None


def read_prose(field: str, value: Any, problems: Problems, chars_max: int) -> str | None:
    """Text of several lines: tabs and line ends are allowed, other controls are not."""
    if not isinstance(value, str):
        problems.append(Problem(field, f"must be a string, is {shown(value)}"))
    elif len(value) > chars_max:
        problems.append(Problem(field, f"must have at most {chars_max} characters, has {len(value)}"))
    elif any((ord(each) < 32 and each not in "\t\n\r") or 0x7F <= ord(each) < 0xA0 for each in value):
        problems.append(
            Problem(field, "holds a control character or NUL; send printable characters and line ends only")
        )
    else:
        return value
    return None


def read_bool(field: str, value: Any, problems: Problems) -> bool | None:
    if isinstance(value, bool):
        return value
    problems.append(Problem(field, f"must be true or false, is {shown(value)}"))
    return None


def read_number(
    field: str, value: Any, problems: Problems, low: float, high: float, *, whole: bool = False
) -> float | None:
    """A number in [low, high]; `whole` takes integers, and 3.0 for 3."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        problems.append(Problem(field, f"must be a number, is {shown(value)}"))
    elif whole and value != int(value):
        problems.append(Problem(field, f"must be a whole number, is {shown(value)}"))
    elif not low <= value <= high:
        problems.append(Problem(field, f"must be {_bound(low)} to {_bound(high)}, is {shown(value)}"))
    else:
        return int(value) if whole else value
    return None


def _bound(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def read_ms(field: str, value: Any, problems: Problems, low_seconds: float, high_seconds: float) -> int | None:
    """Seconds, fractions allowed -> whole milliseconds."""
    seconds = read_number(field, value, problems, low_seconds, high_seconds)
    return None if seconds is None else round(seconds * 1000)


def read_choice(field: str, value: Any, problems: Problems, choices: Sequence[str]) -> str | None:
    if isinstance(value, str) and value in choices:
        return value
    problems.append(Problem(field, f"must be one of {', '.join(choices)}, is {shown(value)}"))
    return None


def read_instant(field: str, value: Any, problems: Problems) -> int | None:
    """RFC 3339 text -> epoch milliseconds."""
    try:
        return parse_instant(value)
    except InstantError as error:
        problems.append(Problem(field, str(error)))
        return None

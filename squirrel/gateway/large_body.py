"""What to say of a body above its limit: which part of it takes the room, as far as its beginning tells, and the fix."""

from __future__ import annotations

import re
from typing import Final

from squirrel.model.errors import Problem
from squirrel.recurrence.limits import CRON_CHARS_MAX, RULE_CHARS_MAX
from squirrel.wire.documents.calendar import DATES_MAX

LOOKED_AT_BYTES_MAX: Final = 64 * 1024  # of the beginning: what comes after a megabyte of it is the same part
_FIXES: Final = {
    "rrule": f"a rule has {RULE_CHARS_MAX} characters at most; put dates in a calendar and name it in exclude",
    "cron": f"an expression has {CRON_CHARS_MAX} characters at most",
    "exclude": "put the dates in a calendar and name that",
    "ical": "keep the events of the coming years, or make several calendars and name them all",
    "dates": f"a calendar has {DATES_MAX} dates at most; make several and name them all",
    **dict.fromkeys(
        ("message", "metadata", "data", "payload", "target_payload", "body", "headers", "description", "tags"),
        "store it elsewhere and send a reference",
    ),
}
_FIELD: Final = re.compile(rb'"(\w+)"\s*:', re.ASCII)
_PART: Final = re.compile(rb"(?:[;:\s]|\\n)(BY[A-Z]{3,8}|EXDATE|RDATE|RRULE)[=:;]")


def largest_part(beginning: bytes) -> tuple[Problem, ...]:
    """The field that was still being read when the beginning ended; none when it is no field of ours."""
    found = _FIELD.findall(beginning[:LOOKED_AT_BYTES_MAX])
    name = found[-1].decode() if found else ""
    if name not in _FIXES:
        return ()
    parts = _PART.findall(b":" + beginning[:LOOKED_AT_BYTES_MAX]) if name == "rrule" else []
    where = f"{parts[-1].decode()} takes most of the room; " if parts else "takes most of the room; "
    return (Problem(name, where + _FIXES[name]),)

"""`POST /api/v1/preview`: the `when` that is asked about, from which instant on, and how many runs."""

from __future__ import annotations

from typing import Final, NamedTuple

from squirrel.model.errors import Problem, Refused
from squirrel.model.limits import PREVIEW_COUNT_MAX, REQUEST_BYTES_MAX
from squirrel.model.when import When
from squirrel.wire.documents.json_text import read_document, visible
from squirrel.wire.documents.names import unknown
from squirrel.wire.documents.values import Problems, read_instant, read_number
from squirrel.wire.documents.when import parse_when_document

_NAMES: Final = ("when", "from", "count")
COUNT_DEFAULT: Final = 10


class Preview(NamedTuple):
    """What to show: the first `runs_max` runs of `when` at or after `from_ms`, as if it were created then."""

    when: When
    from_ms: int
    runs_max: int


def parse_preview(body: bytes, now_ms: int) -> Preview:
    """Raises NotJson or Refused. The calendars that it names are not looked at here (`check_calendars`)."""
    values = read_document(body, REQUEST_BYTES_MAX).values
    problems: Problems = [unknown(visible(key), key, _NAMES) for key in values if key not in _NAMES]
    from_ms, count = now_ms, COUNT_DEFAULT
    if values.get("from") is not None:
        from_ms = read_instant("from", values["from"], problems) or 0
    if values.get("count") is not None:
        count = int(read_number("count", values["count"], problems, 1, PREVIEW_COUNT_MAX, whole=True) or 0)
    if values.get("when") is None:
        problems.append(Problem("when", 'is missing; send one such as {"cron": "0 9 * * 1-5"}'))
    else:
        try:
            when = parse_when_document(values["when"], min(now_ms, from_ms))
        except Refused as refused:
            problems.extend(refused.problems)
    if problems:
        raise Refused("invalid", problems)
    return Preview(when, from_ms, count)

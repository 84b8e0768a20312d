"""`POST /schedules:bulk`: which schedules, and what is done to each of them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from squirrel.model.errors import Problem, Refused
from squirrel.model.limits import (
    EVENT_CHARS_MAX,
    GROUP_CHARS_MAX,
    REQUEST_BYTES_MAX,
    SECONDS_MAX,
    TAG_CHARS_MAX,
    TAGS_MAX,
)
from squirrel.model.schedule import Row, State
from squirrel.wire.documents import read_document
from squirrel.wire.documents.calendar import name_problem
from squirrel.wire.documents.json_text import visible
from squirrel.wire.documents.names import entries_of, unknown
from squirrel.wire.documents.values import Problems, read_bool, read_choice, read_number, read_text, shown

ACTIONS: Final = ("pause", "resume", "cancel", "shift", "tag")
FILTERS: Final = ("state", "event", "tag", "group", "q", "template")
TEMPLATE_TAG: Final = "template:"
_NAMES: Final = ("filter", "action", "seconds", "tags", "dry_run")
_STATES: Final = tuple(str(state) for state in State if state is not State.UNKNOWN)
_CHARS: Final = {"event": EVENT_CHARS_MAX, "tag": TAG_CHARS_MAX, "group": GROUP_CHARS_MAX, "q": 255}


class Filter(NamedTuple):
    """Every given part must hold; `states` empty means the live ones. Owners look at all but `group` and the second tag."""

    states: tuple[str, ...] = ()
    event: str = ""
    tag: str = ""
    group: str = ""
    q: str = ""
    template: str = ""

    @property
    def index_tag(self) -> str:
        """The tag that owners look for: the narrower of the two."""
        return f"{TEMPLATE_TAG}{self.template}" if self.template else self.tag

    def also(self, row: Row) -> bool:
        """What owners did not look at."""
        return (not self.tag or self.tag in row.tags) and (not self.group or row.spec.group == self.group)


class Bulk(NamedTuple):
    """What was asked for."""

    where: Filter
    action: str
    seconds: float = 0
    tags: tuple[str, ...] = ()
    dry_run: bool = False


def parse_bulk(body: bytes) -> Bulk:
    """Raises NotJson or Refused with every problem. An empty filter is refused: all schedules must be asked for by state."""
    values = read_document(body, REQUEST_BYTES_MAX).values
    problems: Problems = [unknown(visible(key), key, _NAMES) for key in values if key not in _NAMES]
    values = {key: value for key, value in values.items() if value is not None}
    where = _filter(values.get("filter"), problems)
    action = "pause"
    if "action" not in values:
        problems.append(Problem("action", f"is missing; send one of {', '.join(ACTIONS)}"))
    else:
        action = read_choice("action", values["action"], problems, ACTIONS) or action
    dry_run = read_bool("dry_run", values["dry_run"], problems) if "dry_run" in values else False
    seconds = _seconds(values, action, problems)
    tags = _tags(values, action, problems)
    if problems:
        raise Refused("invalid", problems)
    return Bulk(where, action, seconds, tags, bool(dry_run))


def _seconds(values: dict[str, Any], action: str, problems: Problems) -> float:
    if action != "shift":
        if "seconds" in values:
            problems.append(Problem("seconds", "belongs to shift; leave it out"))
        return 0
    if "seconds" not in values:
        problems.append(Problem("seconds", "is missing; say by how much, negative for earlier"))
        return 0
    seconds = read_number("seconds", values["seconds"], problems, -SECONDS_MAX, SECONDS_MAX)
    if seconds == 0:
        problems.append(Problem("seconds", "is 0, which changes nothing"))
    return seconds or 0


def _tags(values: dict[str, Any], action: str, problems: Problems) -> tuple[str, ...]:
    if action != "tag":
        if "tags" in values:
            problems.append(Problem("tags", "belongs to tag; leave it out"))
        return ()
    given = values.get("tags")
    if not isinstance(given, list) or not 1 <= len(given) <= TAGS_MAX:
        problems.append(Problem("tags", f"must be a list of 1 to {TAGS_MAX} tags to add"))
        return ()
    read = [read_text(f"tags[{index}]", each, problems, TAG_CHARS_MAX) for index, each in enumerate(given)]
    return tuple(dict.fromkeys(tag for tag in read if tag is not None))


def _filter(given: Any, problems: Problems) -> Filter:
    if given is None:
        problems.append(Problem("filter", f"is missing; send an object with some of {', '.join(FILTERS)}"))
        return Filter()
    before = len(problems)
    entries = entries_of(given, {name: name for name in FILTERS}, "filter", problems)
    entries = {name: entry for name, entry in entries.items() if entry[1] is not None}
    if not entries and len(problems) == before:
        problems.append(
            Problem("filter", 'is empty; for all live schedules send {"state": ["active", "waiting", "paused"]}')
        )
    found: dict[str, Any] = {
        name: read_text(*entries[name], problems, chars) or "" for name, chars in _CHARS.items() if name in entries
    }
    if "state" in entries:
        found["states"] = _states(entries["state"][1], problems)
    if "template" in entries:
        name = entries["template"][1]
        reason = name_problem(name) if isinstance(name, str) else f"must be a template's name, is {shown(name)}"
        if reason is not None:
            problems.append(Problem("filter.template", reason))
        found["template"] = str(name)
    return Filter(**found)


def _states(given: Any, problems: Problems) -> tuple[str, ...]:
    listed = given if isinstance(given, list) else given.split(",") if isinstance(given, str) else [given]
    if not listed or not all(isinstance(each, str) and each in _STATES for each in listed):
        problems.append(Problem("filter.state", f"must be one or a list of {', '.join(_STATES)}"))
        return ()
    return tuple(dict.fromkeys(listed))

"""The JSON schemas of previews, calendars, templates, bulk operations and what is coming: sent and received."""

from __future__ import annotations

from typing import Any, Final

from squirrel.gateway.answer_schemas import RECEIVED
from squirrel.gateway.schemas import ID, INSTANT_SCHEMA, TEXT, Schema, choice, closed, listed, ref, text, whole
from squirrel.model.limits import (
    EVENT_CHARS_MAX,
    GROUP_CHARS_MAX,
    ID_CHARS_MAX,
    NAME_CHARS_MAX,
    PREVIEW_COUNT_MAX,
    TAG_CHARS_MAX,
)
from squirrel.model.schedule import State
from squirrel.wire.documents.calendar import DATES_MAX, NAME, WEEKDAYS, YEARS_AHEAD
from squirrel.wire.documents.template import PARAMETER_NAME, PARAMETERS_MAX

_INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
_YES: Final[Schema] = {"type": "boolean"}
_WARNINGS: Final[Schema] = {"type": "array", "items": _TEXT}


def _open(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _page(items: Schema) -> Schema:
    return _open(["items", "next_cursor"], items=_list(items), next_cursor={"type": ["string", "null"]})


DAY: Final = r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$"
_EVENT: Final = r"BEGIN:VEVENT\nDTSTART:20[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])\nEND:VEVENT"
ICAL: Final = rf"^BEGIN:VCALENDAR\n{_EVENT}\nEND:VCALENDAR$"
_WEEKEND: Final = listed(choice(*WEEKDAYS), len(WEEKDAYS) - 1)
_SUBDIVISION: Final = {"type": "string", "enum": ["CA", "BY"], "description": "ISO 3166-2 without the country"}
_CALENDAR: Final = _open(
    ["name", "days", "weekend"],
    name=_TEXT, dates=_list({"type": "string", "format": "date"}), days=_WHOLE, weekend=_list(_TEXT), source=_TEXT,
    country=_TEXT, subdivision=_TEXT, covers={"type": "object"}, created_at=_INSTANT, updated_at=_INSTANT,
)  # fmt: skip
_BUCKET: Final = _open(
    ["start", "end", "count", "top"],
    start=_INSTANT, end=_INSTANT, count=_WHOLE, top=_list(_open(["id", "count"], id=_TEXT, count=_WHOLE)),
)  # fmt: skip
_FILTER: Final = {
    **closed(
        [],
        state=listed(choice(*(str(state) for state in State if state is not State.UNKNOWN)), len(State), 1),
        event=text(EVENT_CHARS_MAX, TEXT), tag=text(TAG_CHARS_MAX, TEXT), group=text(GROUP_CHARS_MAX, TEXT),
        q=text(255, TEXT), template=text(NAME_CHARS_MAX, NAME),
    ),
    "minProperties": 1,
    "description": "every part that is given must hold; without `state` the live ones",
}  # fmt: skip
_OPERATION: Final = _open(
    ["id", "state", "matched", "done", "failed", "skipped"],
    id=_TEXT, state=choice("running", "cancelling", "cancelled", "succeeded", "failed"), action=_TEXT, dry_run=_YES,
    matched=_WHOLE, done=_WHOLE, failed=_WHOLE, skipped=_WHOLE, reason=_TEXT, kept=_TEXT,
    errors=_list(_open(["id", "outcome", "reason"], id=_TEXT, outcome=_TEXT, reason=_TEXT)),
    began_at=_INSTANT, finished_at=_or_null(_INSTANT),
)  # fmt: skip
_PARAMETER: Final[Schema] = {
    "type": "object",
    "properties": {
        "name": text(100, PARAMETER_NAME), "required": _YES, "default": {}, "description": text(1024, TEXT),
    },
    "required": ["name"],
    "additionalProperties": False,
}  # fmt: skip
_TEMPLATE: Final = _open(
    ["name", "schedule", "parameters"],
    name=_TEXT, description=_TEXT, schedule={"type": "object"}, parameters=_list({"type": "object"}),
    created_at=_INSTANT, updated_at=_INSTANT,
)  # fmt: skip
PLANNING_PATHS: Final[dict[str, dict[str, Any]]] = {
    "name": text(NAME_CHARS_MAX, NAME, examples=["holidays"]),
    "operation": text(ID_CHARS_MAX, ID),
    "n": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "examples": [1]},
}
_SENT: Final[dict[str, Schema]] = {
    "NewPreview": closed(
        ["when"], when=ref("When"), **{"from": INSTANT_SCHEMA}, count=whole(1, PREVIEW_COUNT_MAX, default=10)
    ),
    "NewCalendar": {
        "description": "Exactly one of dates, ical and country; or a weekend alone. A country's days and repeated events "
        f"reach {YEARS_AHEAD} years ahead.",
        "oneOf": [
            closed(["dates"], dates=listed(text(10, DAY), DATES_MAX), weekend=_WEEKEND),
            closed(["ical"], ical=text(1_000_000, ICAL), weekend=_WEEKEND),
            closed(
                ["country"],
                country={"type": "string", "enum": ["DE", "US"]},
                subdivision=_SUBDIVISION,
                weekend=_WEEKEND,
            ),
            closed(["weekend"], weekend=_WEEKEND),
        ],
    },
    "Bulk": {
        **closed(
            ["filter", "action"],
            filter=_FILTER,
            action=choice("pause", "resume", "cancel"),
            dry_run={"type": "boolean", "default": False, "description": "count what matches and change nothing"},
        ),
        "description": "`shift` takes `seconds` and moves one-shots, `tag` takes `tags` and adds them.",
    },
    "AnyNewSchedule": {"anyOf": [ref("NewSchedule"), ref("FromTemplate")]},
    "FromTemplate": {
        **_open(["template"], template=text(NAME_CHARS_MAX, NAME), parameters={"type": "object"}),
        "description": "the template's document with these parameters; any other field stands instead of the template's",
    },
    "NewTemplate": closed(
        ["schedule"],
        schedule={"type": "object", "description": "a schedule's document; its strings may hold {{parameter}}"},
        parameters=listed(
            _PARAMETER,
            PARAMETERS_MAX,
        ),
        description=text(4096, TEXT),
    ),
    "Rollback": closed(["revision"], revision=whole(1, 1_000_000)),
}
_ANSWERS: Final[dict[str, Schema]] = {
    "Preview": _open(["runs", "explain", "warnings"], runs=_list(_INSTANT), explain=_TEXT, warnings=_WARNINGS, tzdata=_TEXT),
    "Calendar": _CALENDAR,
    "CalendarPage": _page(_CALENDAR),
    "Upcoming": _open(
        ["from", "to", "bucket_seconds", "total", "buckets", "busiest", "complete"],
        **{"from": _INSTANT}, to=_INSTANT, bucket_seconds=_WHOLE, total=_WHOLE, schedules=_WHOLE,
        buckets=_list(_BUCKET), busiest=_or_null(_BUCKET), complete=_YES, warnings=_WARNINGS,
    ),
    "Operation": _open(["operation"], operation=_OPERATION),
    "Template": _TEMPLATE,
    "TemplatePage": _page(_TEMPLATE),
    "PresetPage": _page(
        _open(
            ["id", "name", "description", "expression", "category"],
            id=_TEXT, name=_TEXT, description=_TEXT, expression=_TEXT, category=_TEXT, when={"type": "object"},
        )
    ),
    "ResumePreview": _open(
        ["id", "state", "missed", "owed", "would_run", "slots", "runs", "held"],
        id=_TEXT, state=_TEXT, missed=_TEXT, as_of=_INSTANT, owed=_WHOLE, would_run=_WHOLE,
        slots=_list(_INSTANT),
        runs=_list(
            _open(
                ["slot", "due", "outcome"], slot=_INSTANT, due=_INSTANT, reason=_TEXT,
                outcome={"type": "string", "enum": ["run", "skipped", "missed"]},
            )
        ),
        held=_list(_open(["id", "slot", "state"], id=_TEXT, slot=_INSTANT, state=_TEXT)),
        listed_all=_YES, complete=_YES, next_slot=_or_null(_INSTANT), warnings=_WARNINGS,
    ),
    "RevisionPage": _page(
        _open(
            ["revision", "current"],
            revision=_WHOLE, current=_YES, since=_or_null(_INSTANT), until=_or_null(_INSTANT), changed=_list(_TEXT),
        )
    ),
    "Revision": _open(
        ["revision", "current", "schedule", "diff"],
        revision=_WHOLE, current=_YES, until=_or_null(_INSTANT), schedule={"type": "object"},
        diff=_list(_open(["field", "before", "after"], field=_TEXT, before={}, after={})),
    ),
}  # fmt: skip
PLANNING: Final[dict[str, Schema]] = {**_SENT, **_ANSWERS}

assert not PLANNING.keys() & RECEIVED.keys(), "one name, one schema"

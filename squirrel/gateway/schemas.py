"""The JSON schemas of what callers send: as tight as the readers in `wire.documents`, with the limits of `model.limits`.

Where a schema language cannot say a rule (a zone that exists, a date of the calendar), the pattern here admits only what is
always taken; the readers take somewhat more, and say in the answer what they do not.
"""

from __future__ import annotations

from typing import Final

from squirrel.gateway.schema_words import (
    TEXT,
    Schema,
    choice,
    closed,
    listed,
    nullable,
    number,
    optional_text,
    ref,
    text,
    whole,
)
from squirrel.gateway.target_type_schemas import target_schemas
from squirrel.model.limits import (
    BATCH_ITEMS_MAX,
    DESCRIPTION_CHARS_MAX,
    EVENT_CHARS_MAX,
    EXCLUDES_MAX,
    EXPRESSION_CHARS_MAX,
    FALLBACKS_MAX,
    FLOW_KEY_CHARS_MAX,
    FLOW_PARALLELISM_MAX,
    FLOW_RATE_MAX,
    FLOW_RATE_MIN,
    GROUP_CHARS_MAX,
    ID_CHARS_MAX,
    MULTIPLIER_MAX,
    NAME_CHARS_MAX,
    NAMESPACE_CHARS_MAX,
    PARENTS_MAX,
    RETENTION_MS_MAX,
    RETRIES_MAX,
    RETRY_WORDS_MAX,
    SECONDS_MAX,
    TAG_CHARS_MAX,
    TAGS_MAX,
)

ID: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.@~+=-]*$"
PATTERN: Final = r"^(\*|[!-)+,0-~][!-)+,0-~-]*)(\.(\*|[!-)+,0-~-]*))*$"
NAMESPACE: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
_DAY: Final = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
INSTANT: Final = (
    rf"^(19[89][0-9]|[2-8][0-9]{{3}})-{_DAY}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{{1,9}})?"
    r"(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])$"
)
CONDITION: Final = r"^(status|body|headers)( == `[0-9]{1,3}`)?$"


INSTANT_SCHEMA: Final = text(40, INSTANT, description="RFC 3339 with a zone; a naive local time is refused")
_CRON_FIELDS: Final = (r"(\*|[0-5]?[0-9])", r"(\*|1?[0-9]|2[0-3])", r"(\*|[1-9]|1[0-9]|2[0-8])", r"(\*|[1-9]|1[0-2])")
CRON: Final = "^(@(hourly|daily|weekly|monthly|yearly)|" + " ".join(_CRON_FIELDS) + r" (\*|[0-7](-7)?))$"
OUTCOME: Final = choice("success", "failure", "completion", default="success")
EVERY: Final = closed(
    ["interval"],
    interval=choice("second", "minute", "hour", "day", "week", "month", "year"),
    value=whole(1, 1_000_000, default=1),
    start=INSTANT_SCHEMA,
)
ZONE: Final = {
    "type": "string",
    "description": "an IANA zone, such as Europe/Berlin",
    "examples": ["UTC", "America/New_York"],
}


def _kind(name: str, schema: Schema, title: str, **more: Schema) -> Schema:
    return {**closed([name], **{name: schema}, **more), "title": title}


_RECURRING: Final[dict[str, Schema]] = {
    "timezone": {**ZONE, "enum": ["UTC", "America/New_York", "Europe/Berlin", "Asia/Tokyo"]},
    "max_runs": whole(1, 2**53),
    "dst": closed([], gap=choice("skip", "shift", "next"), overlap=choice("first", "last", "both")),
    "spread_seconds": whole(0, 86_400),
    "if_excluded": choice("skip", "next_business_day", "previous_business_day"),
    "exclude": listed(text(255, rf"^20[0-9]{{2}}-{_DAY}$", description="a date or a calendar's name"), EXCLUDES_MAX),
}
_IF: Final[dict[str, Schema]] = {
    "if": text(
        EXPRESSION_CHARS_MAX,
        r"^parent\.(status|body)( == `[0-9]{1,3}`)?$",
        description="JMESPath over parent and parents; where it does not hold the run is skipped",
    )
}
WHEN: Final[Schema] = {
    "description": "Exactly one kind of time; recurring ones may be narrowed.",
    "oneOf": [
        _kind("at", INSTANT_SCHEMA, "once"),
        _kind("in_seconds", number(0, 250_000_000_000), "after a delay, up to the year 9999"),
        _kind("cron", text(255, CRON), "cron, 5 or 6 fields, or @hourly ... @yearly", **_RECURRING),
        _kind("rrule", text(64 * 1024, r"^FREQ=(DAILY|WEEKLY|HOURLY);INTERVAL=[1-9]$"), "RFC 5545", **_RECURRING),
        _kind("every", EVERY, "an interval", **_RECURRING),
        _kind(
            "after",
            listed(closed(["schedule"], schedule=text(ID_CHARS_MAX, ID), on=OUTCOME), 1, 1),
            f"after up to {PARENTS_MAX} other schedules",
            join=choice("all", "any"),
            delay_seconds=number(0, SECONDS_MAX),
            **_IF,
        ),
        _kind(
            "on_event",
            closed(["event"], event=text(EVENT_CHARS_MAX, PATTERN), on=OUTCOME),
            "after any run of a matching event",
            delay_seconds=number(0, SECONDS_MAX),
            **_IF,
        ),
    ],
}
RETRY: Final = closed(
    [],
    max_retries=whole(-1, RETRIES_MAX, default=3, description="0 is a single attempt, -1 tries for ever"),
    strategy=choice("exponential", "linear", "fixed", default="exponential"),
    initial_seconds=number(0.001, 3600, default=1),
    max_seconds=number(3600, SECONDS_MAX, default=3600),
    multiplier=number(1, MULTIPLIER_MAX, default=2),
    jitter=number(0, 1, default=0.1),
    deadline_seconds=number(0.001, SECONDS_MAX, description="no attempt becomes due later than this after the first"),
    on=listed(
        {
            "anyOf": [
                choice("network", "dns", "connect", "tls", "timeout", "disconnected", "protocol", "produce"),
                text(3, "^[1-5]([0-9][0-9]|xx)$"),
                whole(100, 599),
            ]
        },
        RETRY_WORDS_MAX,
        description="which endings are tried again; others are final",
    ),
    **{"if": text(EXPRESSION_CHARS_MAX, CONDITION, description="JMESPath over status, headers, body and error")},
)
_FIELDS: Final[dict[str, Schema]] = {
    "id": text(ID_CHARS_MAX, ID, description="yours; the same id with the same content answers as the first time"),
    "event": text(EVENT_CHARS_MAX),
    "name": text(NAME_CHARS_MAX),
    "description": text(DESCRIPTION_CHARS_MAX),
    "tags": listed(text(TAG_CHARS_MAX), TAGS_MAX),
    "metadata": {"type": "object", "description": "any JSON object of yours, up to 16 KiB"},
    "message": {"description": "any JSON, up to 256 KiB: what the target receives"},
    "target": ref("Target"),
    "when": ref("When"),
    "retry": ref("Retry"),
    "fire_and_forget": {"type": "boolean", "default": False},
    "fallback": listed(ref("FallbackTarget"), FALLBACKS_MAX, description="called in turn when the target has failed"),
    "overlap": choice("skip", "queue", "allow", default="skip"),
    "missed": choice("run_all", "run_last", "skip"),
    "guarantee": choice(
        "at_least_once",
        default="at_least_once",
        description="or `at_most_once`, without retry and fallback: recorded before the call and never repeated",
    ),
    "max_lateness_seconds": number(0, SECONDS_MAX),
    "keep_response": {
        "type": "boolean",
        "default": False,
        "description": "for children that are created after it ended",
    },
    "group": text(GROUP_CHARS_MAX, description="schedules of one group share a partition and an order"),
    "flow": ref("Flow"),
    "retention_seconds": number(1, RETENTION_MS_MAX // 1000),
}
_UNCHANGEABLE: Final = frozenset({"id", "group"})
_NEVER_NULL: Final = frozenset({"event", "when", "target"})  # null would leave a schedule without one
SENT: Final[dict[str, Schema]] = {
    "When": WHEN,
    "Retry": RETRY,
    **target_schemas(),
    "NewSchedule": {
        **closed(["event", "when", "target"], **_FIELDS),
        "description": "`target` may be left out when a route matches the event.",
    },
    "WholeSchedule": closed(
        ["event", "when", "target"], **{k: v for k, v in _FIELDS.items() if k not in _UNCHANGEABLE}
    ),
    "SchedulePatch": {
        **closed([], **{k: v for k, v in _FIELDS.items() if k not in _UNCHANGEABLE | _NEVER_NULL}),
        "description": "Only what changes; null takes a field back to its default.",
    },
    "Batch": closed(["schedules"], schedules=listed({}, BATCH_ITEMS_MAX, 1, description="of NewSchedule")),
    "Ending": closed(
        [],
        outcome=choice("success", default="success", description="or `failure`, with `error` and `retry`"),
        result={"description": "any JSON, up to 64 KiB: stands as the attempt's body"},
    ),
    "Replay": closed([], message={"description": "any JSON instead of the schedule's message"}, target=ref("Target")),
    "Flow": {
        **closed(
            [],
            key=text(
                FLOW_KEY_CHARS_MAX, description="all schedules with it share the limits; a route's is its pattern"
            ),
            rate_per_second=number(
                FLOW_RATE_MIN, FLOW_RATE_MAX, description="calls that begin in a second, evenly apart"
            ),
            parallelism=whole(1, FLOW_PARALLELISM_MAX, description="calls under way at once"),
        ),
        "description": "Limits over all executors: one of the two, or both.",
    },
    "NewRoute": closed(
        ["target"],
        flow=ref("Flow"),
        target=ref("Target"),
        retry=ref("Retry"),
        fallback=listed(ref("FallbackTarget"), FALLBACKS_MAX),
    ),
}
SENT["SchedulePatch"]["properties"] |= {name: _FIELDS[name] for name in sorted(_NEVER_NULL)}
NAMESPACE_SCHEMA: Final = text(NAMESPACE_CHARS_MAX, NAMESPACE)


__all__ = [
    "ID",
    "INSTANT_SCHEMA",
    "NAMESPACE_SCHEMA",
    "PATTERN",
    "SENT",
    "TEXT",
    "Schema",
    "choice",
    "closed",
    "listed",
    "nullable",
    "number",
    "optional_text",
    "ref",
    "text",
    "whole",
]

"""What somebody asked for about time: the `when` of a schedule, parsed but not yet compiled.

Source: shared/api.md, "A schedule". `wire/` reads the public JSON into these nouns, `recurrence/` checks and compiles them.
They are stored in every schedule row, so they are arrays on the wire: new fields are appended at the end, never inserted.
"""

from __future__ import annotations

import msgspec


class Every(msgspec.Struct, gc=False, frozen=True, array_like=True, omit_defaults=True):
    """An interval from a start: `{"every": {"interval": "day", "value": 2}, "start": instant}`.

    `interval` is second, minute, hour, day, week, month or year; `value` counts from 1; `start_ms` is epoch milliseconds,
    None meaning the schedule's creation.
    """

    interval: str
    value: int = 1
    start_ms: int | None = None


class Parent(msgspec.Struct, gc=False, frozen=True, array_like=True, omit_defaults=True):
    """One schedule this one waits for; `on` is success, failure or completion."""

    schedule: str
    on: str = "success"


class EventMatch(msgspec.Struct, gc=False, frozen=True, array_like=True, omit_defaults=True):
    """Any completion whose event name matches the pattern; `on` is success, failure or completion."""

    event: str
    on: str = "success"


class DstPolicy(msgspec.Struct, gc=False, frozen=True, array_like=True, omit_defaults=True):
    """What a local time does that a clock change removes (`gap`) or repeats (`overlap`).

    `gap` is skip, shift or next; `overlap` is first, last or both; None means the default of the rule's kind.
    """

    gap: str | None = None
    overlap: str | None = None


class When(msgspec.Struct, gc=False, frozen=True, array_like=True, omit_defaults=True):
    """Exactly one of `at_ms, in_seconds, cron, rrule, every, after, on_event`, and what narrows it.

    Instants are epoch milliseconds. `timezone` is an IANA name, None meaning UTC. `start_ms` is inclusive; so is `end_ms`.
    `exclude` holds ISO dates (`2027-12-25`) and calendar names; `if_excluded` is skip, next_business_day or
    previous_business_day. `spread_seconds` is the width of the stable offset that is added after the slot.
    `max_runs` is counted by the engine; an RRULE's COUNT by the rule itself.
    """

    at_ms: int | None = None
    in_seconds: float | None = None
    cron: str | None = None
    rrule: str | None = None
    every: Every | None = None
    after: tuple[Parent, ...] = ()
    on_event: EventMatch | None = None
    timezone: str | None = None
    join: str = "all"
    delay_seconds: float = 0
    start_ms: int | None = None
    end_ms: int | None = None
    max_runs: int | None = None
    exclude: tuple[str, ...] = ()
    if_excluded: str = "skip"
    dst: DstPolicy | None = None
    spread_seconds: int = 0
    condition: str = ""  # after, on_event: JMESPath over `{parent, parents}`; where it does not hold the run is skipped


def is_plain(when: When) -> bool:
    """A one-shot that comes due at its instant and at no other: nothing has to be worked out to say when."""
    return when.at_ms is not None and not when.spread_seconds and not when.exclude

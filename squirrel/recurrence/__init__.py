"""Cron, RRULE, intervals, calendars and the clock-change policy: from a `when` to the next instant.

Reads: a When (`squirrel/model/when.py`), calendars through a lookup, and the packaged IANA time zone data.
Keeps: nothing but caches: compiled rules by content, clock changes by zone.
Writes: nothing.
Promises: the same slots for the same content on every machine and after every restart; strictly rising; every question
    answered in bounded time, a rule that cannot be answered refused at the door by a RuleError with field, reason and fix.
Never: reads a clock, adds the spread to a slot, counts `max_runs`, or decides what happens to a slot that was missed.
"""

from squirrel.recurrence.business import Calendar, CalendarLookup, no_calendars
from squirrel.recurrence.clock_warnings import warnings
from squirrel.recurrence.explain import explain
from squirrel.recurrence.owed import Owed, Owing, judge_missed, last_slot_until, owed_slots
from squirrel.recurrence.presets import PRESETS, Preset
from squirrel.recurrence.problem import RuleError
from squirrel.recurrence.rrule_text import too_long
from squirrel.recurrence.rule import Rule, compile_rule, spread_offset_ms, upcoming
from squirrel.recurrence.zone import tzdata_version
from squirrel.recurrence.zone_names import refuse_zone, zone_names

__all__ = [
    "PRESETS",
    "Calendar",
    "CalendarLookup",
    "Owed",
    "Owing",
    "Preset",
    "Rule",
    "RuleError",
    "compile_rule",
    "explain",
    "judge_missed",
    "last_slot_until",
    "no_calendars",
    "owed_slots",
    "refuse_zone",
    "spread_offset_ms",
    "too_long",
    "tzdata_version",
    "upcoming",
    "warnings",
    "zone_names",
]

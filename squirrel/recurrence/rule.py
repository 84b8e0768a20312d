"""From a When to a compiled Rule: the one question the engine asks, and the checks at the door."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol

import msgspec

from squirrel.model.when import Every, When
from squirrel.recurrence.business import (
    Calendar,
    CalendarLookup,
    DaysOff,
    MovedDays,
    SkippedDays,
    excluded_days,
    no_calendars,
)
from squirrel.recurrence.counting import Instants
from squirrel.recurrence.cron import compile_cron
from squirrel.recurrence.dst import CALENDAR_POLICY, Policy, ZonedSeries
from squirrel.recurrence.interval import ELAPSED_SECONDS, WALL_DAYS, ElapsedSteps, WallDays, WallMonths, check_every
from squirrel.recurrence.limits import (
    COMPILED_MAX,
    DELAY_SECONDS_MAX,
    LARGE_COMPILED_MAX,
    LARGE_RULE_CHARS,
    SPREAD_SECONDS_MAX,
)
from squirrel.recurrence.problem import RuleError
from squirrel.recurrence.rrule_set import ListedInstants, UnionInstants, compile_set, policy_of
from squirrel.recurrence.rrule_text import parse_rule_text
from squirrel.recurrence.zone import UTC_MAX, UTC_MIN, Zone, zone_named

KINDS = ("at", "in_seconds", "cron", "rrule", "every", "after", "on_event")
_OUTCOMES = ("success", "failure", "completion")
_TIME_FIELD = "when.timezone"


class Rule(Protocol):
    """A compiled, immutable rule, cheap to ask."""

    def next_after(self, after_ms: int) -> int | None:
        """The first slot strictly after an instant, both in epoch ms; None when there is never one again.

        RuleError only for a rule that cannot be evaluated.
        """
        ...


@dataclass(frozen=True, eq=False)
class InstantRule:
    """A rule over a source of instants in seconds.

    `part_ms` is what every slot has beyond its whole second; `lines` and `zone` are for sentences about the rule.
    """

    source: Instants
    zone: Zone
    lines: tuple[ZonedSeries, ...] = ()
    part_ms: int = 0
    start_ms: int | None = None
    end_ms: int | None = None

    def next_after(self, after_ms: int) -> int | None:
        """See Rule."""
        if self.start_ms is not None and after_ms < self.start_ms:
            after_ms = self.start_ms - 1
        found = self.source.at_or_after(max((after_ms - self.part_ms) // 1000 + 1, UTC_MIN))
        if found is None:
            return None
        slot_ms = found * 1000 + self.part_ms
        return slot_ms if self.end_ms is None or slot_ms <= self.end_ms else None


@dataclass(frozen=True)
class OneSlot:
    """`at` and `in_seconds`: one instant."""

    slot_ms: int

    def next_after(self, after_ms: int) -> int | None:
        """See Rule."""
        return self.slot_ms if after_ms < self.slot_ms else None


@dataclass(frozen=True)
class NoSlots:
    """`after` and `on_event`: released by completions, not by time."""

    def next_after(self, after_ms: int) -> int | None:
        """See Rule."""
        return None


def compile_rule(
    when: When, *, created_ms: int, schedule_key: str = "", calendars: CalendarLookup = no_calendars
) -> Rule:
    """Checks and compiles a `when`; equal content is compiled once.

    `created_ms` is the schedule's creation (epoch ms). `schedule_key` changes no slot: what depends on it is the spread,
    which comes after (`spread_offset_ms`). RuleError names the field, as `when.cron`, and the fix.
    """
    content, needs_creation = _checked(when)
    days_off = excluded_days(when.exclude, calendars) if when.exclude else None
    is_large = when.rrule is not None and len(when.rrule) > LARGE_RULE_CHARS
    return (_compile_large if is_large else _compile)(content, created_ms if needs_creation else 0, days_off)


@lru_cache(maxsize=COMPILED_MAX)
def _checked(when: When) -> tuple[When, bool]:
    """What of a checked When decides its slots, so that schedules with the same rule share it; and whether creation does."""
    check_shape(when)
    content = msgspec.structs.replace(when, exclude=(), max_runs=None, spread_seconds=0, delay_seconds=0)
    return content, _needs_creation(when)


def kind_of_when(when: When) -> str:
    """Which of at, in_seconds, cron, rrule, every, after, on_event a When is; RuleError unless exactly one."""
    given = (
        when.at_ms is not None,
        when.in_seconds is not None,
        when.cron is not None,
        when.rrule is not None,
        when.every is not None,
        bool(when.after),
        when.on_event is not None,
    )
    if sum(given) != 1:
        found = [kind for kind, present in zip(KINDS, given, strict=True) if present]
        reason = f"it has {' and '.join(found)}" if found else "it says nothing about time"
        raise RuleError("when", reason, f"Give exactly one of {', '.join(KINDS)}")
    return KINDS[given.index(True)]


def check_shape(when: When) -> str:
    """Checks everything that needs no compiling, and answers the kind; RuleError names the field."""
    kind = kind_of_when(when)
    if when.timezone is not None:
        zone_named(when.timezone, _TIME_FIELD)
    if when.start_ms is not None and when.end_ms is not None and when.end_ms < when.start_ms:
        raise RuleError("when.end", "it is before when.start, so the rule never occurs", "Exchange or move them")
    _check_choice("when.if_excluded", when.if_excluded, ("skip", "next_business_day", "previous_business_day"))
    _check_choice("when.join", when.join, ("all", "any"))
    for parent in when.after:
        _check_choice("when.after.on", parent.on, _OUTCOMES)
    if when.on_event is not None:
        _check_choice("when.on_event.on", when.on_event.on, _OUTCOMES)
    if when.dst is not None and when.dst.gap is not None:
        _check_choice("when.dst.gap", when.dst.gap, ("skip", "shift", "next"))
    if when.dst is not None and when.dst.overlap is not None:
        _check_choice("when.dst.overlap", when.dst.overlap, ("first", "last", "both"))
    if when.max_runs is not None and when.max_runs < 1:
        raise RuleError("when.max_runs", f"{when.max_runs} is no number of runs", "Write 1 or more, or leave it out")
    _check_seconds("when.spread_seconds", when.spread_seconds, SPREAD_SECONDS_MAX)
    _check_seconds("when.delay_seconds", when.delay_seconds, DELAY_SECONDS_MAX)
    if when.in_seconds is not None:
        _check_seconds("when.in_seconds", when.in_seconds, DELAY_SECONDS_MAX)
    for field, instant_ms in (("when.at", when.at_ms), ("when.start", when.start_ms), ("when.end", when.end_ms)):
        if instant_ms is not None and not UTC_MIN * 1000 <= instant_ms <= UTC_MAX * 1000:
            raise RuleError(field, "the instant is outside years 1 to 9999", "Choose one inside")
    return kind


def _check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise RuleError(field, f"{value[:40]!r} is not known", f"Use one of {', '.join(choices)}")


def _check_seconds(field: str, seconds: float, high: int) -> None:
    # Not-a-number is neither above nor below anything.
    if not 0 <= seconds <= high:
        raise RuleError(field, f"{seconds} is out of range", f"Write 0 to {high} seconds")


def _needs_creation(when: When) -> bool:
    if when.rrule is not None:
        return when.start_ms is None and "DTSTART" not in when.rrule.upper()
    if when.every is not None:
        return when.every.start_ms is None and when.start_ms is None
    return when.in_seconds is not None


def _compiled(when: When, created_ms: int, days_off: Calendar | None) -> Rule:
    if when.after or when.on_event is not None:
        return NoSlots()
    if when.at_ms is not None:
        return _one_slot(when, when.at_ms, days_off)
    if when.in_seconds is not None:
        return _one_slot(when, created_ms + round(when.in_seconds * 1000), days_off)
    zone = zone_named(when.timezone, _TIME_FIELD) if when.timezone else None
    part_ms = 0
    if when.cron is not None:
        series, kind_policy = compile_cron(when.cron)
        zone = zone or zone_named("UTC", _TIME_FIELD)
        policy = policy_of(when.dst, kind_policy)
        lines: tuple[ZonedSeries, ...] = (ZonedSeries(series, zone, policy),)
        source: Instants = lines[0]
    elif when.rrule is not None:
        # The first whole second from creation on: a COUNT then has all its runs.
        start_s = -(-(when.start_ms if when.start_ms is not None else created_ms) // 1000)
        compiled = compile_set(parse_rule_text(when.rrule), zone, start_s, when.dst)
        source, zone, lines = compiled.instants, compiled.zone, compiled.lines
        policy = policy_of(when.dst, CALENDAR_POLICY)
    else:
        assert when.every is not None
        zone = zone or zone_named("UTC", _TIME_FIELD)
        policy = policy_of(when.dst, CALENDAR_POLICY)
        start_ms = when.every.start_ms if when.every.start_ms is not None else when.start_ms
        source, lines = _compile_every(when.every, start_ms, created_ms, ZoneAndPolicy(zone, policy))
        part_ms = (created_ms if start_ms is None else start_ms) % 1000
    if days_off is not None:
        source = _around(source, DaysOff(days_off), ZoneAndPolicy(zone, policy), when.if_excluded)
    return InstantRule(source, zone, lines, part_ms, when.start_ms, when.end_ms)


def _one_slot(when: When, slot_ms: int, days_off: Calendar | None) -> Rule:
    """A one-shot obeys bounds and excluded days like any other rule; its days are those of its zone."""
    if days_off is None and when.start_ms is None and when.end_ms is None:
        return OneSlot(slot_ms)
    zone = zone_named(when.timezone or "UTC", _TIME_FIELD)
    source: Instants = ListedInstants((slot_ms // 1000,))
    if days_off is not None:
        place = ZoneAndPolicy(zone, policy_of(when.dst, CALENDAR_POLICY))
        source = _around(source, DaysOff(days_off), place, when.if_excluded)
    return InstantRule(source, zone, (), slot_ms % 1000, when.start_ms, when.end_ms)


_compile = lru_cache(maxsize=COMPILED_MAX)(_compiled)
_compile_large = lru_cache(maxsize=LARGE_COMPILED_MAX)(_compiled)


@dataclass(frozen=True)
class ZoneAndPolicy:
    """Where a local time is, and what happens to one that is not."""

    zone: Zone
    policy: Policy


def _compile_every(
    every: Every, start_ms: int | None, created_ms: int, place: ZoneAndPolicy
) -> tuple[Instants, tuple[ZonedSeries, ...]]:
    """With a start the first slot is the start; without, one interval after creation."""
    check_every(every)
    base_s = (created_ms if start_ms is None else start_ms) // 1000
    first_index = 1 if start_ms is None else 0
    if every.interval in ELAPSED_SECONDS:
        return ElapsedSteps(base_s, ELAPSED_SECONDS[every.interval] * every.value, first_index), ()
    local_s = place.zone.local(base_s)
    if every.interval in WALL_DAYS:
        line = ZonedSeries(WallDays(local_s, WALL_DAYS[every.interval] * every.value, 1), place.zone, place.policy)
    else:
        months = every.value * (12 if every.interval == "year" else 1)
        line = ZonedSeries(WallMonths(local_s, months, 1), place.zone, place.policy)
    # The start is a slot as it stands, even when its local time comes twice.
    return (line if first_index else UnionInstants((ListedInstants((base_s,)), line))), (line,)


def _around(source: Instants, days_off: DaysOff, place: ZoneAndPolicy, if_excluded: str) -> Instants:
    if if_excluded == "skip":
        return SkippedDays(source, days_off, place.zone)
    return MovedDays(source, days_off, place.zone, place.policy, 1 if if_excluded == "next_business_day" else -1)


def upcoming(rule: Rule, from_ms: int, count: int) -> list[int]:
    """The first `count` slots at or after an instant, in epoch ms; fewer when there are fewer."""
    slots: list[int] = []
    after_ms = from_ms - 1
    while len(slots) < count:
        slot_ms = rule.next_after(after_ms)
        if slot_ms is None:
            break
        slots.append(slot_ms)
        after_ms = slot_ms
    return slots


def spread_offset_ms(schedule_key: str, spread_seconds: int) -> int:
    """A stable offset in [0, spread) that is added to every slot of a schedule to make it due; the same on every machine."""
    if spread_seconds <= 0:
        return 0
    digest = blake2b(schedule_key.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (spread_seconds * 1000)

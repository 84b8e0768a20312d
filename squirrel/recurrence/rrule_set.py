"""A recurrence set: RRULE lines and RDATEs together, less the EXDATEs, in their zones."""

from __future__ import annotations

from bisect import bisect_left

from squirrel.model.when import DstPolicy
from squirrel.recurrence.counting import Instants, UntilInstants, counted
from squirrel.recurrence.dst import CALENDAR_POLICY, Policy, ZonedSeries, instants_of
from squirrel.recurrence.rrule import compile_parts
from squirrel.recurrence.rrule_parts import RuleParts, parse_rule_parts
from squirrel.recurrence.rrule_text import FIELD, Moment, RuleText, refuse
from squirrel.recurrence.series import DAY_SECONDS, BoundedSeries
from squirrel.recurrence.zone import Zone, zone_named


class ListedInstants:
    """Instants written out, rising."""

    def __init__(self, instants: tuple[int, ...]) -> None:
        self._instants = instants

    def at_or_after(self, utc_s: int) -> int | None:
        index = bisect_left(self._instants, utc_s)
        return self._instants[index] if index < len(self._instants) else None


class UnionInstants:
    """Everything several sources have; one instant is one run."""

    def __init__(self, sources: tuple[Instants, ...]) -> None:
        self._sources = sources

    def at_or_after(self, utc_s: int) -> int | None:
        found = [each for source in self._sources if (each := source.at_or_after(utc_s)) is not None]
        return min(found) if found else None


class WithoutInstants:
    """A source less some instants, and less some whole local days."""

    def __init__(self, source: Instants, instants: frozenset[int], days: frozenset[int], zone: Zone) -> None:
        self._source = source
        self._instants = instants
        self._days = days
        self._zone = zone

    def at_or_after(self, utc_s: int) -> int | None:
        found = self._source.at_or_after(utc_s)
        while found is not None:
            if self._days and (day := self._zone.local(found) // DAY_SECONDS) in self._days:
                found = self._source.at_or_after(max(self._zone.utc((day + 1) * DAY_SECONDS), found + 1))
            elif found in self._instants:
                found = self._source.at_or_after(found + 1)
            else:
                break
        return found


class RuleSet:
    """A compiled set. `zone` is DTSTART's; `lines` are its rules on the line of instants, for sentences about them."""

    def __init__(self, instants: Instants, zone: Zone, lines: tuple[ZonedSeries, ...]) -> None:
        self.instants = instants
        self.zone = zone
        self.lines = lines


def compile_set(text: RuleText, asked: Zone | None, default_start_utc_s: int, dst: DstPolicy | None) -> RuleSet:
    """Compiles a parsed set; floating values are read in the zone asked for, else in DTSTART's, else in UTC.

    DTSTART defaults to the instant given.

    Only instants the rules produce are in the set: a DTSTART that does not match its RRULE is not (RFC 5545 leaves that
    open). Without any RRULE, DTSTART is the first of the RDATEs.
    """
    floating = asked or (text.start.zone if text.start else None) or zone_named("UTC", FIELD)
    start = text.start or Moment(floating.local(default_start_utc_s), None, False)
    zone = start.zone or floating
    sources: list[Instants] = []
    lines: list[ZonedSeries] = []
    for value in text.rules:
        parts = parse_rule_parts(value)
        if parts.until is not None and parts.until.zone is None and floating is not zone:
            parts = parts._replace(until=Moment(floating.utc(parts.until.local_s), zone_named("UTC", FIELD), False))
        _check_until(parts, start, zone)
        series, kind_policy = compile_parts(parts, start.local_s)
        policy = policy_of(dst, kind_policy)
        lines.append(ZonedSeries(series, zone, policy))
        if parts.run_count is not None:
            sources.append(counted(series, zone, policy, parts.run_count))
        elif parts.until is not None and parts.until.zone is None:
            sources.append(ZonedSeries(BoundedSeries(series, parts.until.local_s), zone, policy))
        elif parts.until is not None:
            sources.append(UntilInstants(lines[-1], parts.until.local_s))
        else:
            sources.append(lines[-1])
    listed = text.rdates if text.rules or text.start is None else (text.start, *text.rdates)
    policy = policy_of(dst, CALENDAR_POLICY)
    if listed:
        sources.append(
            ListedInstants(tuple(sorted({each for one in listed for each in _instants(one, floating, policy)})))
        )
    instants = sources[0] if len(sources) == 1 else UnionInstants(tuple(sources))
    if text.exdates:
        policies = frozenset(line.policy for line in lines) or frozenset((policy,))
        instants = _without(instants, text.exdates, floating, policies)
    return RuleSet(instants, zone, tuple(lines))


def policy_of(dst: DstPolicy | None, kind_policy: Policy) -> Policy:
    """What was asked for, and the default of the rule's kind for what was not."""
    if dst is None:
        return kind_policy
    return Policy(dst.gap or kind_policy.gap, dst.overlap or kind_policy.overlap)


def _check_until(parts: RuleParts, start: Moment, zone: Zone) -> None:
    if parts.until is None:
        return
    is_before = parts.until.local_s < (start.local_s if parts.until.zone is None else zone.utc(start.local_s))
    if is_before:
        refuse("UNTIL", "it is before DTSTART, so the rule never occurs", "Move one of the two")


def _instants(moment: Moment, zone: Zone, policy: Policy) -> tuple[int, ...]:
    return instants_of(moment.local_s, moment.zone or zone, policy)


def _without(source: Instants, exdates: tuple[Moment, ...], zone: Zone, policies: frozenset[Policy]) -> WithoutInstants:
    """An EXDATE takes away the instants its local time has under the policy of any line; a DATE the whole day."""
    instants = {
        each for one in exdates if not one.is_date for policy in policies for each in _instants(one, zone, policy)
    }
    days = {one.local_s // DAY_SECONDS for one in exdates if one.is_date}
    return WithoutInstants(source, frozenset(instants), frozenset(days), zone)

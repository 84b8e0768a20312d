"""What a person should know before the clocks change: slots that move, vanish, repeat or lose their repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from squirrel.model.when import When
from squirrel.recurrence.business import CalendarLookup, no_calendars
from squirrel.recurrence.days import date_of
from squirrel.recurrence.dst import ELAPSED_POLICY, ZonedSeries, instants_of
from squirrel.recurrence.limits import WARNINGS_MAX
from squirrel.recurrence.rrule_parts import parse_rule_parts
from squirrel.recurrence.rrule_text import parse_rule_text
from squirrel.recurrence.rule import InstantRule, compile_rule
from squirrel.recurrence.series import DAY_SECONDS
from squirrel.recurrence.words import city, clock
from squirrel.recurrence.zone import Piece, Zone

# With no slots to go by, the coming year: every clock change falls in it.
_AHEAD_MS = 370 * DAY_SECONDS * 1000


def warnings(
    when: When,
    from_ms: int,
    slots: Sequence[int] = (),
    *,
    created_ms: int | None = None,
    calendars: CalendarLookup = no_calendars,
) -> list[str]:
    """Sentences about a rule between an instant and its last slot given (the coming year when none is given).

    Clock changes that touch one of its local times, and parts of the rule that mean something else than they look like.
    At most 10. `created_ms` is the schedule's creation, `from_ms` for one not made yet. Rules that go by elapsed time have
    nothing to warn of.
    """
    rule = compile_rule(when, created_ms=from_ms if created_ms is None else created_ms, calendars=calendars)
    found = list(_about_text(when))
    if isinstance(rule, InstantRule):
        end_ms = max(slots) if slots else from_ms + _AHEAD_MS
        if rule.end_ms is not None:
            end_ms = min(end_ms, rule.end_ms)
        start_ms = max(from_ms, rule.start_ms) if rule.start_ms is not None else from_ms
        for line in rule.lines:
            if line.policy != ELAPSED_POLICY:
                for sentence in _about_changes(line, start_ms // 1000, end_ms // 1000):
                    if sentence not in found:
                        found.append(sentence)
                    if len(found) >= WARNINGS_MAX:
                        return found
    return found


def _about_text(when: When) -> Iterator[str]:
    if when.rrule is None:
        return
    text = parse_rule_text(when.rrule)
    if text.start is not None and text.start.zone is not None and when.timezone not in (None, text.start.zone.name):
        yield f"DTSTART is in {text.start.zone.name}, so the rule runs in that zone and not in {when.timezone}"
    for rule in text.rules:
        until = parse_rule_parts(rule).until
        if until is not None and until.is_date:
            day = date_of(until.local_s // DAY_SECONDS)
            yield f"UNTIL={day:%Y%m%d} ends at 00:00 of that day; write UNTIL={day:%Y%m%d}T235959 to include the day"


def _about_changes(line: ZonedSeries, from_s: int, to_s: int) -> Iterator[str]:
    """One sentence for each clock change in [from, to] that touches the line's local times."""
    utc_s = from_s
    while utc_s <= to_s:
        piece = line.zone.piece(utc_s)
        if piece.start >= from_s and piece.start == utc_s and piece.offset != piece.before:
            sentence = _about_gap(line, piece) if piece.offset > piece.before else _about_overlap(line, piece)
            if sentence:
                yield sentence
        utc_s = piece.end


def _about_gap(line: ZonedSeries, piece: Piece) -> str | None:
    local_s = line.series.at_or_after(piece.start + piece.before)
    if local_s is None or local_s >= piece.start + piece.offset:
        return None
    moved = instants_of(local_s, line.zone, line.policy)
    outcome = f"runs at {_wall(moved[0], line.zone, local_s)}" if moved else "does not run"
    return f"{_at(local_s)} does not exist on {_on(local_s)} in {city(line.zone.name)}: {outcome}, by gap: {line.policy.gap}"


def _about_overlap(line: ZonedSeries, piece: Piece) -> str | None:
    local_s = line.series.at_or_after(piece.start + piece.offset)
    if local_s is None or local_s >= piece.start + piece.before:
        return None
    outcome = {"first": "runs the first time", "last": "runs the second time", "both": "runs both times"}
    overlap = line.policy.overlap
    where = city(line.zone.name)
    return f"{_at(local_s)} comes twice on {_on(local_s)} in {where}: {outcome[overlap]}, by overlap: {overlap}"


def _at(local_s: int) -> str:
    return clock(local_s % DAY_SECONDS)


def _on(local_s: int) -> str:
    return date_of(local_s // DAY_SECONDS).isoformat()


def _wall(utc_s: int, zone: Zone, asked_local_s: int) -> str:
    """The wall time of an instant, with its date when that is another than the one asked for."""
    local_s = zone.local(utc_s)
    is_other_day = local_s // DAY_SECONDS != asked_local_s // DAY_SECONDS
    return f"{_at(local_s)} on {_on(local_s)}" if is_other_day else _at(local_s)

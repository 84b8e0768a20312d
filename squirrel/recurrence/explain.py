"""A rule in words: "At 09:00, Monday to Friday, New York time"."""

from __future__ import annotations

from squirrel.model.when import EventMatch, Every, When
from squirrel.recurrence.cron_text import CronFields, parse_cron
from squirrel.recurrence.interval import WALL_DAYS, WALL_MONTHS
from squirrel.recurrence.rrule_parts import SUB_DAILY, RuleParts, parse_rule_parts
from squirrel.recurrence.rrule_text import Moment, RuleText, parse_rule_text
from squirrel.recurrence.rule import check_shape
from squirrel.recurrence.series import DAY_SECONDS
from squirrel.recurrence.words import (
    MONTHS,
    WEEKDAYS,
    duration,
    every,
    instant,
    listed,
    ordinal,
    place,
    runs_of,
    sentence,
    times_phrase,
)
from squirrel.recurrence.zone import utc_text

_UNITS = {
    "YEARLY": "year",
    "MONTHLY": "month",
    "WEEKLY": "week",
    "DAILY": "day",
    "HOURLY": "hour",
    "MINUTELY": "minute",
    "SECONDLY": "second",
}
_OUTCOMES = {"success": "succeeds", "failure": "fails", "completion": "completes"}
_SHOWN_CHARS_MAX = 80


def explain(when: When) -> str:
    """Says a `when` in one English sentence; RuleError where it is wrong."""
    check_shape(when)
    return sentence([*_kind_phrases(when), *_limit_phrases(when)])


def _kind_phrases(when: When) -> list[str]:
    zone = place(when.timezone or "UTC")
    if when.at_ms is not None:
        return [f"once at {instant(when.at_ms)}"]
    if when.in_seconds is not None:
        return [f"once, {duration(when.in_seconds)} after it was created"]
    if when.cron is not None:
        return [*cron_phrases(parse_cron(when.cron)), zone]
    if when.rrule is not None:
        return _set_phrases(parse_rule_text(when.rrule), when.timezone)
    if when.every is not None:
        return [_every_phrase(when.every), zone if when.every.interval in (*WALL_DAYS, *WALL_MONTHS) else ""]
    delay = f"{duration(when.delay_seconds)} later" if when.delay_seconds else ""
    if when.on_event is not None:
        return [_event_phrase(when.on_event), delay]
    word = " and " if when.join == "all" else " or "
    shown = [f"{parent.schedule[:_SHOWN_CHARS_MAX]} {_OUTCOMES[parent.on]}" for parent in when.after]
    return [f"after {word.join(shown)}", delay]


def _event_phrase(match: EventMatch) -> str:
    return f"whenever a run of {match.event[:_SHOWN_CHARS_MAX]} {_OUTCOMES[match.on]}"


def _every_phrase(interval: Every) -> str:
    start = f" from {instant(interval.start_ms)}" if interval.start_ms is not None else ""
    return every(interval.value, interval.interval) + start


def _limit_phrases(when: When) -> list[str]:
    phrases = []
    if when.start_ms is not None and (when.every is None or when.every.start_ms != when.start_ms):
        phrases.append(f"from {instant(when.start_ms)}")
    if when.end_ms is not None:
        phrases.append(f"until {instant(when.end_ms)}")
    if when.max_runs is not None:
        phrases.append("at most once" if when.max_runs == 1 else f"at most {when.max_runs} times")
    if when.exclude:
        shown = listed([entry[:_SHOWN_CHARS_MAX] for entry in when.exclude[:3]])
        more = f" and {len(when.exclude) - 3} more" if len(when.exclude) > 3 else ""
        moved = {
            "skip": f"not on {shown}{more}",
            "next_business_day": f"moved to the next business day from {shown}{more}",
            "previous_business_day": f"moved to the previous business day from {shown}{more}",
        }
        phrases.append(moved[when.if_excluded])
    if when.spread_seconds:
        phrases.append(f"spread over {duration(when.spread_seconds)}")
    return phrases


def cron_phrases(fields: CronFields) -> list[str]:
    """Time, days and months of a cron expression."""
    phrases = [times_phrase(fields.hours, fields.minutes, fields.seconds)]
    by_date, by_weekday = _cron_dates(fields), _cron_weekdays(fields)
    if by_date and by_weekday:
        word = " and " if fields.month_day_star or fields.weekday_star else " or "
        phrases.append(f"{by_date}{word}on {by_weekday}")
    elif by_date or by_weekday:
        phrases.append(by_date or by_weekday)
    elif fields.hours and len(fields.hours) * len(fields.minutes) <= 6:
        phrases.append("every day")
    if len(fields.months) < 12:
        phrases.append(f"in {runs_of(fields.months, lambda month: MONTHS[month - 1])}")
    return phrases


def _cron_dates(fields: CronFields) -> str:
    items = []
    if fields.month_days and len(fields.month_days) < 31:
        items.append(f"day {runs_of(fields.month_days, str)}")
    if fields.last_day:
        items.append("the last day")
    if fields.last_workday:
        items.append("the last weekday (Monday to Friday)")
    items += [f"the weekday nearest to day {day}" for day in sorted(fields.nearest_workdays)]
    return f"on {listed(items)} of the month" if items else ""


def _cron_weekdays(fields: CronFields) -> str:
    items = []
    # Sunday is 0 in cron and the last day of the week in a sentence.
    if fields.weekdays and len(fields.weekdays) < 7:
        items.append(runs_of(((day - 1) % 7 for day in fields.weekdays), lambda day: WEEKDAYS[day]))
    items += [f"the last {WEEKDAYS[(day - 1) % 7]} of the month" for day in sorted(fields.last_weekdays)]
    items += [f"the {ordinal(n)} {WEEKDAYS[(day - 1) % 7]} of the month" for day, n in sorted(fields.nth_weekdays)]
    return listed(items)


def _set_phrases(text: RuleText, timezone: str | None) -> list[str]:
    zone = text.start.zone.name if text.start and text.start.zone else timezone or "UTC"
    phrases = [" and ".join(", ".join(_rule_phrases(parse_rule_parts(rule), text.start)) for rule in text.rules)]
    if text.rdates:
        phrases.append(f"on {len(text.rdates)} listed date" + ("s" if len(text.rdates) > 1 else ""))
    if text.exdates:
        phrases.append(f"without {len(text.exdates)} excluded date" + ("s" if len(text.exdates) > 1 else ""))
    return [*phrases, place(zone)]


def _rule_phrases(parts: RuleParts, start: Moment | None) -> list[str]:
    phrases = [every(parts.interval, _UNITS[parts.freq])]
    phrases += [each for each in (_chosen_days(parts), _times(parts, start)) if each]
    if parts.run_count is not None:
        phrases.append("once" if parts.run_count == 1 else f"{parts.run_count} times")
    if parts.until is not None:
        until = utc_text(parts.until.local_s)
        phrases.append(f"until {until if parts.until.zone else until.removesuffix('Z')}")
    return phrases


def _chosen_days(parts: RuleParts) -> str:
    days = _days(parts)
    if not parts.by_set_pos:
        return days
    chosen = listed([ordinal(each) for each in parts.by_set_pos])
    if days and [day.position for day in parts.by_day] == [0]:
        return f"on the {chosen} {days.removeprefix('on ')}"
    return (
        f"the {chosen} of {days.removeprefix('on ').replace(' and ', ' or ')}" if days else f"the {chosen} of its times"
    )


def _days(parts: RuleParts) -> str:
    items = []
    if parts.by_day:
        plain = runs_of((each.weekday for each in parts.by_day if not each.position), lambda day: WEEKDAYS[day])
        numbered = [f"the {ordinal(each.position)} {WEEKDAYS[each.weekday]}" for each in parts.by_day if each.position]
        items.append(f"on {listed([each for each in (plain, *numbered) if each])}")
    if parts.by_month_day:
        from_start = [str(each) for each in parts.by_month_day if each > 0]
        from_end = [f"the {ordinal(each)} day" for each in parts.by_month_day if each < 0]
        days = [f"day {listed(from_start)}"] if from_start else []
        items.append(f"on {listed(days + from_end)} of the month")
    if parts.by_year_day:
        from_start = [str(each) for each in parts.by_year_day if each > 0]
        from_end = [f"the {ordinal(each)} day" for each in parts.by_year_day if each < 0]
        days = [f"day {listed(from_start)}"] if from_start else []
        items.append(f"on {listed(days + from_end)} of the year")
    if parts.by_week_no:
        weeks = [f"week {each}" if each > 0 else f"the {ordinal(each)} week" for each in parts.by_week_no]
        items.append(f"in {listed(weeks)}")
    if parts.by_month:
        items.append(f"in {runs_of(parts.by_month, lambda month: MONTHS[month - 1])}")
    return " ".join(items)


def _times(parts: RuleParts, start: Moment | None) -> str:
    """Times of day; what the rule leaves open comes from DTSTART, and is not known before creation without one."""
    if parts.freq in SUB_DAILY:
        named = (("hour", parts.by_hour), ("minute", parts.by_minute), ("second", parts.by_second))
        return " ".join(f"at {unit} {runs_of(values, str)}" for unit, values in named if values)
    second = start.local_s % DAY_SECONDS if start else 0
    if start is None and not parts.by_hour:
        return ""
    hours = parts.by_hour or (second // 3600,)
    return times_phrase(hours, parts.by_minute or (second // 60 % 60,), parts.by_second or (second % 60,))

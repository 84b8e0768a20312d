"""RRULE: checked parts to a local series, with defaults from DTSTART, COUNT and UNTIL."""

from __future__ import annotations

from squirrel.recurrence.days import DaySeries, EveryNDays, YearlyDays, date_of, weekday_of
from squirrel.recurrence.dst import CALENDAR_POLICY, ELAPSED_POLICY, Policy
from squirrel.recurrence.rrule_days import KIND_YEARS, days_allowed, has_day_parts, rule_days
from squirrel.recurrence.rrule_parts import SUB_DAILY, RuleParts, Weekday
from squirrel.recurrence.rrule_text import refuse
from squirrel.recurrence.series import DAY_SECONDS, CountedSeries
from squirrel.recurrence.setpos import SetPosSeries, positions
from squirrel.recurrence.times import ListedTimes, ProductTimes, TimesOfDay
from squirrel.recurrence.unit_series import UNIT_SECONDS, UnitSeries, merged_spans

ALL_HOURS = tuple(range(24))
ALL_SIXTY = tuple(range(60))


def compile_parts(parts: RuleParts, first_s: int) -> tuple[CountedSeries, Policy]:
    """The endless series of a rule whose DTSTART is the local second `first_s`, and the policy of its kind.

    COUNT and UNTIL are applied on the line of instants, by `rrule_set`. RuleError when the rule never occurs.
    """
    if parts.freq in SUB_DAILY:
        series, policy = _sub_daily(parts, first_s), ELAPSED_POLICY
    else:
        series, policy = _daily_or_longer(_with_defaults(parts, first_s), first_s), CALENDAR_POLICY
    if series is None or series.at_or_after(first_s) is None:
        part, fix = _blame(parts)
        refuse(part, "with the rest of the rule and DTSTART it never occurs", fix)
    return series, policy


def _blame(parts: RuleParts) -> tuple[str, str]:
    """The part most likely to be why a rule never occurs."""
    for part, values in (
        ("BYSETPOS", parts.by_set_pos),
        ("BYWEEKNO", parts.by_week_no),
        ("BYYEARDAY", parts.by_year_day),
    ):
        if values:
            return part, "Choose values that fit the other parts"
    if parts.interval > 1 and (parts.by_hour or parts.by_minute or parts.by_second or not parts.by_month_day):
        return "INTERVAL", "Choose an interval, or a DTSTART, that reaches the BY parts"
    return "BYMONTHDAY", "Choose a day the month has, or -1 for its last"


def _with_defaults(parts: RuleParts, first_s: int) -> RuleParts:
    """RFC 5545: what the rule does not say about days comes from DTSTART."""
    day = first_s // DAY_SECONDS
    if parts.by_week_no and not (parts.by_day or parts.by_month_day or parts.by_year_day):
        return parts._replace(by_day=(Weekday(0, weekday_of(day)),))
    if parts.by_week_no or parts.by_year_day or parts.by_month_day or parts.by_day:
        return parts
    start = date_of(day)
    if parts.freq == "YEARLY":
        return parts._replace(by_month=parts.by_month or (start.month,), by_month_day=(start.day,))
    if parts.freq == "MONTHLY":
        return parts._replace(by_month_day=(start.day,))
    if parts.freq == "WEEKLY":
        return parts._replace(by_day=(Weekday(0, weekday_of(day)),))
    return parts


def _daily_or_longer(parts: RuleParts, first_s: int) -> CountedSeries | None:
    second = first_s % DAY_SECONDS
    times: TimesOfDay = ProductTimes(
        parts.by_hour or (second // 3600,),
        parts.by_minute or (second // 60 % 60,),
        parts.by_second or (second % 60,),
    )
    if parts.by_set_pos and parts.freq != "DAILY":
        # Without an interval 40 years tell whether the positions exist at all.
        probe = SetPosSeries(parts._replace(interval=1), times, 0)
        return None if probe.at_or_after(0) is None else SetPosSeries(parts, times, first_s)
    if parts.by_set_pos:
        chosen = positions(len(times), parts.by_set_pos)
        if not chosen:
            return None
        times = ListedTimes(tuple(times.at(index) for index in chosen))
    start_day = first_s // DAY_SECONDS
    weekdays = {each.weekday for each in parts.by_day}
    if parts.freq == "DAILY" and parts.interval % 7 == 0 and weekdays and weekday_of(start_day) not in weekdays:
        return None
    return DaySeries(rule_days(parts, start_day), times, first_s)


def _sub_daily(parts: RuleParts, first_s: int) -> CountedSeries | None:
    unit_s = UNIT_SECONDS[parts.freq]
    offsets = _offsets(parts, first_s)
    if not offsets:
        return None
    days = YearlyDays(days_allowed(parts), KIND_YEARS) if has_day_parts(parts) else None
    spans = _allowed_spans(parts)
    series = UnitSeries(first_s, unit_s, parts.interval, days, spans, offsets)
    if not series.meets():
        return None
    if (days is None and spans is None) or (DAY_SECONDS // unit_s) % parts.interval:
        return series
    # Every day is the same, so the rule is one of days and times.
    return DaySeries(days or EveryNDays(first_s // DAY_SECONDS, 1), _repeating_times(parts, first_s, series), first_s)


def _offsets(parts: RuleParts, first_s: int) -> tuple[int, ...]:
    """Seconds inside one hour, minute or second that the parts choose."""
    minutes = parts.by_minute or (first_s // 60 % 60,)
    seconds = parts.by_second or (first_s % 60,)
    if parts.freq == "HOURLY":
        offsets = tuple(minute * 60 + second for minute in minutes for second in seconds)
    else:
        offsets = seconds if parts.freq == "MINUTELY" else (0,)
    if not parts.by_set_pos:
        return offsets
    return tuple(offsets[index] for index in positions(len(offsets), parts.by_set_pos))


def _repeating_times(parts: RuleParts, first_s: int, series: UnitSeries) -> TimesOfDay:
    """The times of day of a step that divides the day: a product where the step divides its own unit's round."""
    step, second = parts.interval, first_s % DAY_SECONDS
    hours, minutes, seconds = parts.by_hour or ALL_HOURS, parts.by_minute or ALL_SIXTY, parts.by_second or ALL_SIXTY
    if parts.freq == "SECONDLY" and 60 % step == 0:
        return ProductTimes(hours, minutes, _in_phase(seconds, second % 60, step))
    if parts.freq == "MINUTELY" and 60 % step == 0:
        return ProductTimes(hours, _in_phase(minutes, second // 60 % 60, step), _offsets(parts, first_s))
    return ListedTimes(series.times_of_day())


def _in_phase(values: tuple[int, ...], phase: int, step: int) -> tuple[int, ...]:
    return tuple(value for value in values if (value - phase) % step == 0)


def _allowed_spans(parts: RuleParts) -> tuple[tuple[int, int], ...] | None:
    """The hours, minutes or seconds of a day that BYHOUR, BYMINUTE and BYSECOND leave; None for all."""
    hours, minutes, seconds = parts.by_hour, parts.by_minute, parts.by_second
    if parts.freq == "HOURLY" or not (minutes or (seconds and parts.freq == "SECONDLY")):
        if not hours:
            return None
        size = 3600 // UNIT_SECONDS[parts.freq]
        return merged_spans(list(hours), size)
    listed = [hour * 60 + minute for hour in hours or ALL_HOURS for minute in minutes or ALL_SIXTY]
    if parts.freq == "MINUTELY" or not seconds:
        return merged_spans(listed, 60 // UNIT_SECONDS[parts.freq])
    return merged_spans([minute * 60 + second for minute in listed for second in seconds], 1)

"""RRULE: checked parts to a local series, with defaults from DTSTART, COUNT and UNTIL."""

from __future__ import annotations

from squirrel.recurrence.days import DaySeries, YearlyDays, date_of, weekday_of
from squirrel.recurrence.dst import CALENDAR_POLICY, ELAPSED_POLICY, Policy
from squirrel.recurrence.rrule_days import days_allowed, has_day_parts, rule_days
from squirrel.recurrence.rrule_parts import SUB_DAILY, RuleParts, Weekday
from squirrel.recurrence.rrule_text import refuse
from squirrel.recurrence.series import DAY_SECONDS, CountedSeries
from squirrel.recurrence.setpos import SetPosSeries, positions
from squirrel.recurrence.times import ListedTimes, ProductTimes, TimesOfDay
from squirrel.recurrence.unit_series import UNIT_SECONDS, UnitSeries, merged_spans


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
        return SetPosSeries(parts, times, first_s)
    if parts.by_set_pos:
        chosen = positions(len(times), parts.by_set_pos)
        if not chosen:
            return None
        times = ListedTimes(tuple(times.at(index) for index in chosen))
    return DaySeries(rule_days(parts, first_s // DAY_SECONDS), times, first_s)


def _sub_daily(parts: RuleParts, first_s: int) -> CountedSeries | None:
    unit_s = UNIT_SECONDS[parts.freq]
    minutes = parts.by_minute or (first_s // 60 % 60,)
    seconds = parts.by_second or (first_s % 60,)
    if parts.freq == "HOURLY":
        offsets = tuple(minute * 60 + second for minute in minutes for second in seconds)
        limits = bool(parts.by_hour)
    elif parts.freq == "MINUTELY":
        offsets = seconds
        limits = bool(parts.by_hour or parts.by_minute)
    else:
        offsets = (0,)
        limits = bool(parts.by_hour or parts.by_minute or parts.by_second)
    if parts.by_set_pos:
        offsets = tuple(offsets[index] for index in positions(len(offsets), parts.by_set_pos))
        if not offsets:
            return None
    days = YearlyDays(days_allowed(parts), 400) if has_day_parts(parts) else None
    spans = merged_spans(_allowed_units(parts)) if limits else None
    series = UnitSeries(first_s, unit_s, parts.interval, days, spans, offsets)
    return series if series.meets() else None


def _allowed_units(parts: RuleParts) -> list[int]:
    """The hours, minutes or seconds of a day that BYHOUR, BYMINUTE and BYSECOND leave."""
    hours = parts.by_hour or tuple(range(24))
    if parts.freq == "HOURLY":
        return list(hours)
    minutes = parts.by_minute or tuple(range(60))
    if parts.freq == "MINUTELY":
        return [hour * 60 + minute for hour in hours for minute in minutes]
    seconds = parts.by_second or tuple(range(60))
    return [hour * 3600 + minute * 60 + second for hour in hours for minute in minutes for second in seconds]

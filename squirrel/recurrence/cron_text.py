"""Cron text to sets of numbers: five fields, six with seconds first, or an `@` word.

Follows Debian cron(5); `L`, `LW`, `nW`, `nL`, `#` and `?` are the common extensions (Quartz). What Debian refuses (a range that
wraps round, a step of 0, a number out of range) is refused here, with what to write instead.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from squirrel.recurrence.limits import CRON_CHARS_MAX
from squirrel.recurrence.problem import RuleError

FIELD = "when.cron"
WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = {name: number for number, name in enumerate(MONTH_NAMES, 1)}
_WEEKDAYS = {name: number for number, name in enumerate(WEEKDAY_NAMES)}
_NEAREST = re.compile(r"^(\d{1,2})W$")
_LAST_WEEKDAY = re.compile(r"^(\d|[A-Z]{3})L$")
_NTH_WEEKDAY = re.compile(r"^(\d|[A-Z]{3})#(\d+)$")
_SHOWN_CHARS_MAX = 40


class _Unit(NamedTuple):
    """One field's name and bounds."""

    name: str
    low: int
    high: int
    names: dict[str, int]


_SECOND = _Unit("second", 0, 59, {})
_MINUTE = _Unit("minute", 0, 59, {})
_HOUR = _Unit("hour", 0, 23, {})
_MONTH_DAY = _Unit("day of month", 1, 31, {})
_MONTH = _Unit("month", 1, 12, _MONTHS)
_WEEKDAY = _Unit("day of week", 0, 7, _WEEKDAYS)


class CronFields(NamedTuple):
    """A parsed expression. Weekdays count from Sunday as 0. `*_star` says whether the field begins with `*` (or is `?`)."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    month_days: frozenset[int]
    last_day: bool
    last_workday: bool
    nearest_workdays: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    last_weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]]
    month_day_star: bool
    weekday_star: bool
    hour_star: bool
    texts: tuple[str, ...]


def _refuse(reason: str, fix: str) -> NoReturn:
    raise RuleError(FIELD, reason, fix)


def parse_cron(text: str) -> CronFields:
    """Reads an expression; RuleError names the field that is wrong."""
    if len(text) > CRON_CHARS_MAX:
        _refuse(
            f"the expression has {len(text)} characters, at most {CRON_CHARS_MAX} are read", "Shorten it with steps"
        )
    texts = _split(text)
    second, minute, hour, month_day, month, weekday = texts
    month_days, last_day, last_workday, nearest = _parse_month_days(month_day)
    weekdays, last_weekdays, nth_weekdays = _parse_weekdays(weekday)
    return CronFields(
        seconds=tuple(sorted(_numbers(second, _SECOND))),
        minutes=tuple(sorted(_numbers(minute, _MINUTE))),
        hours=tuple(sorted(_numbers(hour, _HOUR))),
        month_days=month_days,
        last_day=last_day,
        last_workday=last_workday,
        nearest_workdays=nearest,
        months=frozenset(_numbers(month, _MONTH)),
        weekdays=weekdays,
        last_weekdays=last_weekdays,
        nth_weekdays=nth_weekdays,
        month_day_star=month_day[0] in "*?",
        weekday_star=weekday[0] in "*?",
        hour_star=hour[0] == "*",
        texts=texts,
    )


def _split(text: str) -> tuple[str, ...]:
    words = text.upper().split()
    if not words:
        _refuse("the expression is empty", "Write five fields, such as '0 9 * * 1-5'")
    if words[0].startswith("@"):
        if len(words) == 1 and words[0].lower() in WORDS:
            words = WORDS[words[0].lower()].split()
        elif words[0] == "@REBOOT":
            _refuse("@reboot is not a time", "Use {'in_seconds': 0} for a run at once")
        elif words[0] == "@EVERY":
            _refuse("@every is not cron", "Use {'every': {'interval': 'minute', 'value': 5}}")
        else:
            _refuse(f"there is no word {words[0].lower()[:_SHOWN_CHARS_MAX]!r}", f"Use one of {', '.join(WORDS)}")
    if "=" in words[0]:
        _refuse("a zone does not belong in the expression", "Put it in when.timezone")
    if len(words) == 5:
        words = ["0", *words]
    if len(words) != 6:
        _refuse(
            f"the expression has {len(words)} fields",
            "Write five (minute hour day month weekday), or six with seconds first",
        )
    return tuple(words)


def _parse_month_days(text: str) -> tuple[frozenset[int], bool, bool, frozenset[int]]:
    if text == "?":
        text = "*"
    plain: set[int] = set()
    nearest: set[int] = set()
    last_day = last_workday = False
    for item in text.split(","):
        near = _NEAREST.match(item)
        if item == "L":
            last_day = True
        elif item in ("LW", "WL"):
            last_workday = True
        elif near:
            nearest.add(_number(near[1], _MONTH_DAY))
        else:
            plain |= _numbers(item, _MONTH_DAY)
    return frozenset(plain), last_day, last_workday, frozenset(nearest)


def _parse_weekdays(text: str) -> tuple[frozenset[int], frozenset[int], frozenset[tuple[int, int]]]:
    if text == "?":
        text = "*"
    plain: set[int] = set()
    last: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for item in text.split(","):
        found_last, found_nth = _LAST_WEEKDAY.match(item), _NTH_WEEKDAY.match(item)
        if item == "L":
            _refuse(
                "day of week: 'L' alone says no day",
                "Write '6' for Saturday, or '6L' for the last Saturday of the month",
            )
        elif found_last:
            last.add(_number(found_last[1], _WEEKDAY) % 7)
        elif found_nth:
            position = int(found_nth[2])
            if not 1 <= position <= 5:
                _refuse(
                    f"day of week: {item!r} asks for week {position} of a month", "Write #1 to #5, or L for the last"
                )
            nth.add((_number(found_nth[1], _WEEKDAY) % 7, position))
        else:
            plain |= {number % 7 for number in _numbers(item, _WEEKDAY)}
    return frozenset(plain), frozenset(last), frozenset(nth)


def _numbers(text: str, unit: _Unit) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        found |= _item(item, unit)
    return found


def _item(item: str, unit: _Unit) -> set[int]:
    span, slash, step_text = item.partition("/")
    step = 1
    if slash:
        if not (step_text.isascii() and step_text.isdigit()) or int(step_text[:9]) == 0:
            _refuse(f"{unit.name}: {item[:_SHOWN_CHARS_MAX]!r} has no valid step", "A step is a whole number from 1")
        step = int(step_text[:9])
    if span == "*":
        low, high = unit.low, 6 if unit is _WEEKDAY else unit.high
    elif "-" in span[1:]:
        low_text, _, high_text = span.partition("-")
        low, high = _number(low_text, unit), _number(high_text, unit)
        if low > high:
            _refuse(f"{unit.name}: the range {span!r} runs backwards", f"Write {_unwrapped(span, low, high, unit)!r}")
    else:
        low = _number(span, unit)
        # "5/10" counts on from 5, as every program that takes it reads it.
        high = low if not slash else 6 if unit is _WEEKDAY and low <= 6 else unit.high
    return set(range(low, high + 1, step))


def _number(text: str, unit: _Unit) -> int:
    if text in unit.names:
        return unit.names[text]
    if text.isascii() and text.isdigit():
        number = int(text[:9])
        if unit.low <= number <= unit.high:
            return number
        _refuse(f"{unit.name}: {number} is out of range", f"Write {unit.low} to {unit.high}")
    shown = text[:_SHOWN_CHARS_MAX]
    if text == "?":
        _refuse(f"{unit.name}: '?' stands for a day only", "Write '*'")
    if text[:1] == "H" and not text[1:2].isalpha():
        _refuse(
            f"{unit.name}: H is not read", f"Write {unit.low} to {unit.high}, and spread_seconds for an offset by id"
        )
    if text[:3] in unit.names:
        _refuse(f"{unit.name}: {shown!r} is not a name", f"Write {text[:3]!r}")
    fix = f"Write {unit.low} to {unit.high}" + (f" or {', '.join(unit.names)}" if unit.names else "")
    _refuse(f"{unit.name}: {shown!r} is not a value" if text else f"{unit.name}: a value is missing", fix)


def _unwrapped(span: str, low: int, high: int, unit: _Unit) -> str:
    """The two ranges a backward one means."""
    low_text, _, high_text = span.partition("-")
    if unit is _WEEKDAY and low == 7:
        return f"0-{high_text}" if high else "0"
    if unit is _WEEKDAY and high == 0:
        return f"{low_text}-7"
    start, end = str(unit.low), str(6 if unit is _WEEKDAY else unit.high)
    first = low_text if str(low) == end else f"{low_text}-{end}"
    return f"{first},{start}-{high_text}" if str(high) != start else f"{first},{start}"

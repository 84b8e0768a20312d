"""RRULEs of a day or less by trying every period: slow, plain, and independent of both squirrel and dateutil.

dateutil looks for a rule that never comes until year 9999, second by second, so small units are checked against this.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta

UNITS = {
    "DAILY": timedelta(days=1),
    "HOURLY": timedelta(hours=1),
    "MINUTELY": timedelta(minutes=1),
    "SECONDLY": timedelta(seconds=1),
}
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def occurrences(rule: str, start: datetime, low: datetime, high: datetime) -> list[datetime]:
    """Local times of a rule in [low, high), positions and COUNT included."""
    parts = dict(part.split("=") for part in rule.split(";"))
    freq = parts["FREQ"]
    period = start
    if freq != "SECONDLY":
        period = period.replace(second=0)
    if freq in ("HOURLY", "DAILY"):
        period = period.replace(minute=0)
    if freq == "DAILY":
        period = period.replace(hour=0)
    found: list[datetime] = []
    step = UNITS[freq] * int(parts.get("INTERVAL", "1"))
    if "COUNT" not in parts and low > period:
        period += (low - period) // step * step
    while period < high:
        times = [each for each in _inside(freq, parts, period, start) if _allowed(parts, each)]
        if "BYSETPOS" in parts:
            wanted = _numbers(parts["BYSETPOS"])
            times = [each for index, each in enumerate(times) if {index + 1, index - len(times)} & wanted]
        found += [each for each in times if each >= start]
        period += step
    if "COUNT" in parts:
        found = found[: int(parts["COUNT"])]
    return [each for each in found if low <= each < high]


def _numbers(text: str) -> set[int]:
    return {int(each) for each in text.split(",")}


def _inside(freq: str, parts: dict[str, str], period: datetime, start: datetime) -> list[datetime]:
    hours = sorted(_numbers(parts.get("BYHOUR", str(start.hour)))) if freq == "DAILY" else [period.hour]
    minutes = [period.minute]
    if freq in ("DAILY", "HOURLY"):
        minutes = sorted(_numbers(parts.get("BYMINUTE", str(start.minute))))
    seconds = [period.second] if freq == "SECONDLY" else sorted(_numbers(parts.get("BYSECOND", str(start.second))))
    return [
        period.replace(hour=hour, minute=minute, second=second)
        for hour in hours
        for minute in minutes
        for second in seconds
    ]


def _allowed(parts: dict[str, str], time: datetime) -> bool:
    year_day = time.timetuple().tm_yday
    year_length = 366 if monthrange(time.year, 2)[1] == 29 else 365
    values = {
        "BYMONTH": {time.month},
        "BYYEARDAY": {year_day, year_day - year_length - 1},
        "BYMONTHDAY": {time.day, time.day - monthrange(time.year, time.month)[1] - 1},
        "BYHOUR": {time.hour},
        "BYMINUTE": {time.minute},
        "BYSECOND": {time.second},
    }
    if any(part in parts and not value & _numbers(parts[part]) for part, value in values.items()):
        return False
    return "BYDAY" not in parts or WEEKDAYS[time.weekday()] in parts["BYDAY"].split(",")

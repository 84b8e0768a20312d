"""What the engine pays to ask a compiled rule for its next slot.

Cost sketch: a question is two or three bisections and a division, in pure Python about 5 to 15 us; the bar is 50 us at the
median and 5 ms at worst, over cron, RRULE and intervals in UTC and in zones, first questions (cold caches) included. CPU time of
the thread, so that what else the machine does is not counted.
"""

from __future__ import annotations

import time
from itertools import product

from squirrel.model.when import Every, When
from squirrel.recurrence import PRESETS, compile_rule

P50_CEILING_US = 50.0
P99_CEILING_US = 5_000.0
_ZONES = (None, "America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "Asia/Kolkata")
_CREATED_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
_FROM_MS = 1_798_761_600_000  # 2027-01-01T00:00:00Z
_YEAR_MS = 31_536_000_000
_CRONS = ("0 0 29 2 *", "0 0 29 2 5", "0 0 13 * 5", "30 2 * * *", "0 0 15W * *", "0 0 * * 5#5", "0 0 1 1 1")
_RRULES = (
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3;BYHOUR=9,17;BYMINUTE=0,30",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,FR",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=MONTHLY;BYDAY=2MO,-1FR",
    "FREQ=MONTHLY;BYMONTHDAY=-1,15",
    "FREQ=YEARLY;BYWEEKNO=20,-1;BYDAY=MO",
    "FREQ=YEARLY;BYYEARDAY=1,100,-1",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=YEARLY;BYDAY=MO,TU;BYSETPOS=1,50,-3",
    "FREQ=HOURLY;INTERVAL=5;BYDAY=MO,TU",
    "FREQ=MINUTELY;INTERVAL=7;BYHOUR=9,10,11",
    "FREQ=MINUTELY;INTERVAL=61;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=SECONDLY;COUNT=10000000",
    "FREQ=SECONDLY;INTERVAL=7;BYSECOND=0",
    "FREQ=DAILY;COUNT=5000",
)


def rules() -> list[When]:
    """A few hundred rules of every kind."""
    crons = [
        When(cron=each, timezone=zone) for each, zone in product((*_CRONS, *(p.expression for p in PRESETS)), _ZONES)
    ]
    rrules = [When(rrule=each, timezone=zone) for each, zone in product(_RRULES, _ZONES)]
    units = ("second", "minute", "hour", "day", "week", "month", "year")
    intervals = [
        When(every=Every(unit, value, _CREATED_MS), timezone=zone)
        for unit, value, zone in product(units, (1, 5), _ZONES)
    ]
    return crons + rrules + intervals


def run(small: bool) -> list[dict[str, str | float]]:
    """`small` asks each rule 10 times, else 100: in order, and at jumps of a year that find cold caches."""
    costs_us: list[float] = []
    questions = 10 if small else 100
    for when in rules():
        rule = compile_rule(when, created_ms=_CREATED_MS)
        slot_ms, jump = _FROM_MS, 0
        for question in range(questions):
            if question % 10 == 9:
                jump += 1
                slot_ms = _FROM_MS + jump * _YEAR_MS
            begun = time.thread_time_ns()
            found = rule.next_after(slot_ms)
            costs_us.append((time.thread_time_ns() - begun) / 1_000)
            if found is None:
                break
            slot_ms = found
    costs_us.sort()
    return [
        _line("next_slot_us_p50", costs_us[len(costs_us) // 2], P50_CEILING_US),
        _line("next_slot_us_p99", costs_us[len(costs_us) * 99 // 100], P99_CEILING_US)
        | {"max_us": round(costs_us[-1], 2), "questions": len(costs_us)},
    ]


def _line(metric: str, value: float, ceiling: float) -> dict[str, str | float]:
    return {
        "metric": metric,
        "value": round(value, 2),
        "unit": "us",
        "ceiling": ceiling,
        "ratio": round(value / ceiling, 4),
    }

"""Small pieces of English that explanations are put together from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from squirrel.recurrence.zone import utc_text

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth"}


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def runs_of(numbers: Iterable[int], name: Callable[[int], str]) -> str:
    """Rising numbers, three or more neighbours as `a to c`."""
    groups: list[list[int]] = []
    for number in sorted(numbers):
        if groups and groups[-1][-1] == number - 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    items: list[str] = []
    for group in groups:
        items += [f"{name(group[0])} to {name(group[-1])}"] if len(group) > 2 else [name(each) for each in group]
    return listed(items)


def step_of(values: Sequence[int], size: int) -> int | None:
    """The n of values that are every n-th of a full round of `size`, from 0; None for any others."""
    step = values[1] - values[0] if len(values) > 1 else size
    return step if list(values) == list(range(0, size, step)) and len(values) > 1 else None


def ordinal(position: int) -> str:
    """`first`, `last`, `second last`, `12th`."""
    if position < 0:
        return "last" if position == -1 else f"{ordinal(-position)} last"
    if position in _ORDINALS:
        return _ORDINALS[position]
    suffix = "th" if position % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(position % 10, "th")
    return f"{position}{suffix}"


def every(count: int, unit: str) -> str:
    """`every hour`, `every 3 hours`."""
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def clock(second_of_day: int) -> str:
    """`09:00`, with seconds when there are any."""
    hour, rest = divmod(second_of_day, 3600)
    minute, second = divmod(rest, 60)
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "")


def duration(seconds: float) -> str:
    """`2 days`, `90 seconds`: the largest unit that divides it."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {unit}" + ("" if count == 1 else "s")
    return f"{seconds:g} second" + ("" if seconds == 1 else "s")


def city(zone: str) -> str:
    """`New York`."""
    return zone.rsplit("/", 1)[-1].replace("_", " ")


def place(zone: str) -> str:
    """`New York time`, `UTC`."""
    return city(zone) if zone in ("UTC", "Etc/UTC", "GMT") else f"{city(zone)} time"


def instant(instant_ms: int) -> str:
    """`2027-02-01T10:00:00Z`."""
    return utc_text(instant_ms // 1000)


def sentence(parts: Iterable[str]) -> str:
    """The parts that say something, with commas, beginning with a capital."""
    whole = ", ".join(part for part in parts if part)
    return whole[:1].upper() + whole[1:]


def times_phrase(hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int], shown_max: int = 6) -> str:
    """`at 09:00 and 17:30` for few times, `every 15 minutes from 09:00 to 17:45` and such for many."""
    if len(hours) * len(minutes) * len(seconds) <= shown_max:
        found = [hour * 3600 + minute * 60 + second for hour in hours for minute in minutes for second in seconds]
        return f"at {listed([clock(each) for each in found])}"
    second_step, minute_step, hour_step = step_of(seconds, 60), step_of(minutes, 60), step_of(hours, 24)
    if second_step:
        phrase = every(second_step, "second")
        minute_part = "" if minute_step == 1 else f"in minutes {runs_of(minutes, str)}"
    else:
        suffix = "" if tuple(seconds) == (0,) else f" at second {runs_of(seconds, str)}"
        if minute_step:
            phrase, minute_part = every(minute_step, "minute") + suffix, ""
        elif hour_step:
            at = (
                "on the hour" if tuple(minutes) == (0,) and not suffix else f"at minute {runs_of(minutes, str)}{suffix}"
            )
            return f"{every(hour_step, 'hour')}, {at}"
        elif len(minutes) == 1 and not suffix and list(hours) == list(range(hours[0], hours[-1] + 1)):
            first, last = (clock(hour * 3600 + minutes[0] * 60) for hour in (hours[0], hours[-1]))
            return f"every hour from {first} to {last}"
        else:
            phrase, minute_part = f"at minute {runs_of(minutes, str)}{suffix}", ""
    return " ".join(part for part in (phrase, minute_part, _hours_phrase(hours, hour_step)) if part)


def _hours_phrase(hours: Sequence[int], hour_step: int | None) -> str:
    if hour_step == 1:
        return ""
    if list(hours) == list(range(hours[0], hours[-1] + 1)):
        return f"from {hours[0]:02}:00 to {hours[-1]:02}:59"
    return f"in hours {runs_of(hours, str)}"

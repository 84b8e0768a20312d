"""Times of day: the product of hours, minutes and seconds, without ever listing its 86,400 members."""

from __future__ import annotations

from bisect import bisect_left
from typing import Protocol


class TimesOfDay(Protocol):
    """Rising seconds of the day, indexed from 0; never empty."""

    def __len__(self) -> int: ...

    def at(self, index: int) -> int:
        """The second of the day at an index."""
        ...

    def rank(self, second: int) -> int:
        """How many times are before this second of the day; also the index of the first one not before it."""
        ...


class ListedTimes:
    """Times written out, as BYSETPOS leaves them."""

    def __init__(self, seconds: tuple[int, ...]) -> None:
        self._seconds = seconds

    def __len__(self) -> int:
        return len(self._seconds)

    def at(self, index: int) -> int:
        return self._seconds[index]

    def rank(self, second: int) -> int:
        return bisect_left(self._seconds, second)


class ProductTimes:
    """Every hour with every minute with every second; each argument rising and not empty."""

    def __init__(self, hours: tuple[int, ...], minutes: tuple[int, ...], seconds: tuple[int, ...]) -> None:
        self.hours = hours
        self.minutes = minutes
        self.seconds = seconds
        self._minute_size = len(seconds)
        self._hour_size = len(minutes) * len(seconds)

    def __len__(self) -> int:
        return len(self.hours) * self._hour_size

    def at(self, index: int) -> int:
        hour, rest = divmod(index, self._hour_size)
        minute, second = divmod(rest, self._minute_size)
        return self.hours[hour] * 3600 + self.minutes[minute] * 60 + self.seconds[second]

    def rank(self, second: int) -> int:
        hour, rest = divmod(second, 3600)
        hour_index = bisect_left(self.hours, hour)
        index = hour_index * self._hour_size
        if hour_index == len(self.hours) or self.hours[hour_index] != hour:
            return index
        minute, rest = divmod(rest, 60)
        minute_index = bisect_left(self.minutes, minute)
        index += minute_index * self._minute_size
        if minute_index == len(self.minutes) or self.minutes[minute_index] != minute:
            return index
        return index + bisect_left(self.seconds, rest)

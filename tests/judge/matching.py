"""Matching without ids: how many windows find a point of their own. No solver: windows are intervals (Glover's greedy)."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def unmatched(windows: Sequence[tuple[float, float]], points: Sequence[float]) -> list[tuple[float, float]]:
    """The closed windows that get no point in a maximum matching, in O((n + m) log n).

    Sweep the points by time and give each to the open window with the earliest end: whoever could use a later point keeps it.
    """
    waiting = sorted(windows)
    opened: list[tuple[float, float]] = []
    lost: list[tuple[float, float]] = []
    position = 0
    for point in sorted(points):
        while position < len(waiting) and waiting[position][0] <= point:
            start, end = waiting[position]
            heapq.heappush(opened, (end, start))
            position += 1
        while opened and opened[0][0] < point:
            end, start = heapq.heappop(opened)
            lost.append((start, end))
        if opened:
            heapq.heappop(opened)
    lost.extend((start, end) for end, start in opened)
    lost.extend(waiting[position:])
    return sorted(lost)

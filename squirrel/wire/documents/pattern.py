"""Event patterns: `email.send.*` and which route wins.

A segment lies between dots. `*` stands for one whole segment; at the end for one or more. An exact name beats a pattern, a
longer literal start beats a shorter; between equals the one with more literal characters wins, then the alphabet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from squirrel.model.errors import Problem
from squirrel.model.limits import EVENT_CHARS_MAX
from squirrel.model.target import Route
from squirrel.wire.documents.values import Problems, read_text, shown

_ANSWERS_KEPT_MAX = 10_000  # event names one table remembers


@lru_cache(maxsize=10_000)
def _compiled(pattern: str) -> re.Pattern[str]:
    *inner, last = pattern.split(".")
    parts = [r"[^.]+" if part == "*" else re.escape(part) for part in inner]
    parts.append(r".+" if last == "*" else re.escape(last))
    return re.compile(r"\.".join(parts), re.DOTALL)


@lru_cache(maxsize=10_000)
def pattern_matches(pattern: str, event: str) -> bool:
    """Whether `event` falls under `pattern`."""
    if "*" not in pattern:
        return pattern == event
    return _compiled(pattern).fullmatch(event) is not None


def pattern_problem(pattern: Any) -> str | None:
    """Why `pattern` cannot name events, or None."""
    problems: Problems = []
    text = read_text("pattern", pattern, problems, EVENT_CHARS_MAX)
    if text is None:
        return problems[0].reason
    if any("*" in segment and segment != "*" for segment in text.split(".")):
        return (
            f"has * inside a segment, {shown(text)}; * stands for a whole segment, as in email.*.done or email.send.*"
        )
    return None


def read_pattern(field: str, value: Any, problems: Problems) -> str | None:
    """A pattern as a field's value."""
    reason = pattern_problem(value)
    if reason is None:
        return str(value)
    problems.append(Problem(field, reason))
    return None


def _rank(route: Route) -> tuple[int, int, str]:
    pattern = route.pattern
    return -pattern.index("*"), -(len(pattern) - pattern.count("*")), pattern


class RouteTable:
    """Routes in the order in which they win; answers are remembered, so a look-up costs a dictionary's."""

    def __init__(self, routes: Iterable[Route]) -> None:
        listed = list(routes)
        self._exact = {route.pattern: route for route in listed if "*" not in route.pattern}
        self._patterns = sorted((route for route in listed if "*" in route.pattern), key=_rank)
        self._answers: dict[str, Route | None] = {}

    def best(self, event: str) -> Route | None:
        """The route that `event` takes, or None."""
        try:
            return self._answers[event]
        except KeyError:
            pass
        found = self._exact.get(event)
        if found is None:
            found = next((route for route in self._patterns if _compiled(route.pattern).fullmatch(event)), None)
        if len(self._answers) >= _ANSWERS_KEPT_MAX:
            self._answers.clear()
        self._answers[event] = found
        return found


def best_route(routes: Sequence[Route], event: str) -> Route | None:
    """The route that `event` takes among a few; who asks often keeps a RouteTable."""
    return RouteTable(routes).best(event)

"""Which runs or dead letters are asked for: the same words in a query and in the filter of an operation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from squirrel.gateway.schemas import INSTANT_SCHEMA, Schema, choice, optional_text
from squirrel.model.errors import Problem
from squirrel.model.ids import id_problem
from squirrel.model.instants import InstantError, parse_instant
from squirrel.model.limits import EVENT_CHARS_MAX, ID_CHARS_MAX, TAG_CHARS_MAX
from squirrel.model.schedule import RUN_FINAL, RunState
from squirrel.stores.history import LetterFilter, RunFilter

RUN_STATES: Final = tuple(str(state) for state in RunState)
FINAL_STATES: Final = tuple(state for state in RUN_STATES if state in RUN_FINAL)
LETTER_STATES: Final = ("open", "discarded", "replayed")
HOST_CHARS_MAX: Final = 260  # a name and its port
TEXT_CHARS_MAX: Final = 255
STATUS_PATTERN: Final = "^([1-5][0-9][0-9]|[1-5]xx)$"
_STATUS: Final = re.compile(STATUS_PATTERN)
_CHARS: Final = {"event": EVENT_CHARS_MAX, "tag": TAG_CHARS_MAX, "host": HOST_CHARS_MAX, "q": TEXT_CHARS_MAX}

RUN_QUERY: Final[dict[str, Schema]] = {
    "state": choice(*RUN_STATES),
    "event": optional_text(EVENT_CHARS_MAX, description="exact, or with `*` at the end"),
    "schedule": optional_text(ID_CHARS_MAX),
    "tag": optional_text(TAG_CHARS_MAX, description="of the schedule when the run ended"),
    "host": optional_text(
        HOST_CHARS_MAX, description="of the last attempt's target, with or without its port; a topic for Kafka"
    ),
    "status": {"type": "string", "pattern": STATUS_PATTERN, "description": "of the last answer: 503, or 5xx"},
    "from": INSTANT_SCHEMA,
    "to": INSTANT_SCHEMA,
    "q": optional_text(
        TEXT_CHARS_MAX, description="in ids, event, reason, tags, and the last attempt's error, target and answer"
    ),
}
LETTER_QUERY: Final[dict[str, Schema]] = {
    "state": choice(*LETTER_STATES, description="open: nothing was made of it yet"),
    **{name: RUN_QUERY[name] for name in ("event", "schedule", "from", "to", "q")},
}


def read_run_filter(given: Mapping[str, str], problems: list[Problem], prefix: str = "") -> RunFilter:
    """The filter that the words say; what is wrong with them is added to `problems`, named with `prefix`."""
    reader = _Words(given, problems, prefix)
    return RunFilter(
        state=reader.choice("state", RUN_STATES),
        event=reader.text("event"),
        from_ms=reader.instant("from"),
        to_ms=reader.instant("to"),
        schedule=reader.schedule(),
        tag=reader.text("tag"),
        host=reader.text("host"),
        status=reader.status(),
        q=reader.text("q"),
    )


def read_letter_filter(given: Mapping[str, str], problems: list[Problem], prefix: str = "") -> LetterFilter:
    """As `read_run_filter`, of dead letters; the times are those of their ends."""
    reader = _Words(given, problems, prefix)
    return LetterFilter(
        state=reader.choice("state", LETTER_STATES),
        event=reader.text("event"),
        from_ms=reader.instant("from"),
        to_ms=reader.instant("to"),
        schedule=reader.schedule(),
        q=reader.text("q"),
    )


def words_of(given: Mapping[str, Any], known: Mapping[str, Any], problems: list[Problem]) -> dict[str, str]:
    """A JSON filter's values as a query would say them; nulls are left out."""
    words: dict[str, str] = {}
    for name, value in given.items():
        if name not in known:
            problems.append(Problem(f"filter.{name[:100]}", f"is no known field; known here: {', '.join(known)}"))
        elif isinstance(value, str):
            words[name] = value
        elif name == "status" and isinstance(value, int) and not isinstance(value, bool):
            words[name] = str(value)
        elif value is not None:
            problems.append(Problem(f"filter.{name}", "must be text"))
    return words


class _Words:
    """Reads one word after the other and collects what is wrong."""

    def __init__(self, given: Mapping[str, str], problems: list[Problem], prefix: str) -> None:
        self._given = given
        self._problems = problems
        self._prefix = prefix

    def text(self, name: str) -> str | None:
        value, most = self._given.get(name), _CHARS[name]
        if value is not None and (not 1 <= len(value) <= most or not value.isprintable()):
            self._refuse(name, f"must have 1 to {most} printable characters")
        return value

    def choice(self, name: str, known: tuple[str, ...]) -> str | None:
        value = self._given.get(name)
        if value is not None and value not in known:
            self._refuse(name, f"must be one of {', '.join(known)}")
        return value

    def schedule(self) -> str | None:
        value = self._given.get("schedule")
        reason = None if value is None else id_problem(value)
        if reason is not None:
            self._refuse("schedule", reason)
        return value

    def instant(self, name: str) -> int | None:
        value = self._given.get(name)
        try:
            return None if value is None else parse_instant(value)
        except InstantError as error:
            self._refuse(name, str(error))
            return None

    def status(self) -> tuple[int, int] | None:
        value = self._given.get("status")
        if value is None:
            return None
        if _STATUS.fullmatch(value) is None:
            self._refuse("status", "must be a status such as 503, or a class such as 5xx")
            return None
        least = int(value.replace("x", "0"))
        return (least, least + 99) if value.endswith("xx") else (least, least)

    def _refuse(self, name: str, reason: str) -> None:
        self._problems.append(Problem(self._prefix + name, reason))

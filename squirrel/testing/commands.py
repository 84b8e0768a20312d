"""Behaviour by the path of the request: one target for a whole suite, also from another language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from squirrel.testing import behaviours as be
from squirrel.testing.promises import broken_promise
from squirrel.testing.target import Behaviour, Line, Received

Made = Callable[[str], Behaviour]
SECONDS_MAX: Final = 3600.0
# The first word of the path, and what the second one says.
COMMANDS: Final[Mapping[str, Made]] = {
    "ok": lambda _: be.answer(),
    "status": lambda word: be.answer(_whole(word, 200, 599), b"as you wish"),
    "delay": lambda word: be.delayed(_seconds(word)),
    "drip": lambda word: be.drip(seconds=_seconds(word or "0.5")),
    "endless": lambda _: be.endless(),
    "endless-chunk": lambda _: be.endless_chunk(),
    "endless-chunks": lambda _: be.endless_chunks(),
    "gzip-bomb": lambda word: be.gzip_bomb(_whole(word or "100", 1, 10_000)),
    "header-flood": lambda word: be.header_flood(_whole(word or "100000", 1, 1_000_000)),
    "wrong-length": lambda _: be.wrong_length(),
    "reset": lambda _: be.reset,
    "half-close": lambda _: be.half_close,
    "no-answer": lambda _: be.no_answer,
    "close-on-receipt": lambda _: be.close_on_receipt,
    "close-when-idle": lambda _: be.close_when_idle,
    "retry-after": lambda word: be.retry_after(word or "1"),
    "redirect": be.redirect,
    "fail": lambda word: be.failing(_whole(word or "1", 0, 1_000_000)),
    "promise": lambda _: broken_promise(),
}


def by_path(more: Mapping[str, Made] | None = None) -> Behaviour:
    """`/status/503`, `/delay/2`, `/fail/3`, `/redirect/?to=http%3A%2F%2F…`, and every other word of COMMANDS; `more` adds words.

    A path that names none is answered 200; one that is wrong, 400 with the reason. `/fail/3` counts for each `webhook-id`.
    """
    known = {**COMMANDS, **(more or {})}
    made: dict[str, Behaviour] = {}

    async def behave(line: Line, received: Received) -> bool:
        path = received.path
        if path not in made:
            made[path] = _made(known, path)
        return await made[path](line, received)

    return behave


def _made(known: Mapping[str, Made], path: str) -> Behaviour:
    parts = urlsplit(path)
    word, _, argument = parts.path.strip("/").partition("/")
    argument = parse_qs(parts.query).get("to", [unquote(argument)])[0]
    try:
        return known[word](argument) if word in known else be.answer()
    except ValueError as why:
        return be.answer(400, f"{word}: {why}; known are {', '.join(known)}".encode())


def _whole(word: str, low: int, high: int) -> int:
    if not word.isdigit() or not low <= int(word) <= high:
        raise ValueError(f"must be followed by a number from {low} to {high}")
    return int(word)


def _seconds(word: str) -> float:
    seconds = float(word)
    if not 0 <= seconds <= SECONDS_MAX:
        raise ValueError(f"must be followed by seconds from 0 to {SECONDS_MAX:g}")
    return seconds

"""The tree of errors; expected failures are values with a field, a reason and a fix.

SquirrelError
├── Refused            what a user asked for cannot be done as asked; carries `Problem` items
├── Unavailable        a part this call needs is away; the caller may try again
├── SettingsError      the start was stopped; the message is the one sentence an operator reads
└── Fatal              the process must end because going on could lose or repeat work
"""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong: the field as it was sent (dotted), the reason, and what to do about it."""

    field: str
    reason: str


class SquirrelError(Exception):
    """Root of everything this package raises on purpose."""


class Refused(SquirrelError):
    """Content that cannot be taken: `code` is a stable word, `problems` name the fields."""

    def __init__(self, code: str, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.reason}" for problem in problems))
        self.code = code
        self.problems = problems

    @classmethod
    def one(cls, field: str, reason: str, *, code: str = "invalid") -> Refused:
        return cls(code, [Problem(field, reason)])


class Unavailable(SquirrelError):
    """A part is away; `retry_after_seconds` says when to ask again."""

    def __init__(self, reason: str, retry_after_seconds: int = 1) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class SettingsError(SquirrelError):
    """A setting is unknown, malformed or contradicts another; one sentence, secrets left out."""


class Fatal(SquirrelError):
    """Going on could lose work: the process ends with this sentence and its supervisor starts it again."""

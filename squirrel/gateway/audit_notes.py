"""What a changing call touched, noted where it happens and read when it is answered: one note for each call."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final

from squirrel.wire.audit import IDS_KEPT_MAX
from squirrel.wire.owner_link import CONFLICT, NOT_FOUND, REFUSED, STALE_REVISION, TOO_LATE, Decided

_REFUSED: Final = frozenset({CONFLICT, NOT_FOUND, REFUSED, STALE_REVISION, TOO_LATE})
OPERATION: Final = "squirrel.operation"  # in the scope: set by the endpoint whose operation changes something


class Notes:
    """The ids of the schedules that commands were written for, how many were refused, and the last outcome."""

    __slots__ = ("count", "decided", "ids", "is_open", "refused")

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.count = 0
        self.refused = 0
        self.decided: Decided | None = None
        self.is_open = True  # what a call began may go on after its answer, under its context

    def touched(self, ids: Sequence[str], outcomes: Sequence[Decided | None]) -> None:
        """Commands for these schedules were stored; None: what became of one is not known yet."""
        if self.is_open:
            self.count += len(ids)
            self.ids += ids[: IDS_KEPT_MAX - len(self.ids)]
            self.decided = outcomes[-1] if outcomes else None
            self.refused += sum(each is not None and each.code in _REFUSED for each in outcomes)


NOTES: Final[ContextVar[Notes | None]] = ContextVar("squirrel_audit_notes", default=None)

"""When people are told: once when something is overdue for too long, again while it lasts, and when it is over. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

REMIND_MS: Final = 15 * 60_000
NAMED_MAX: Final = 5


class Notice(NamedTuple):
    """A line, and a few sentences."""

    title: str
    text: str


class Alarm:
    """Fed with what is overdue beyond the threshold at each look; at most one notice for each."""

    def __init__(self, threshold_ms: int) -> None:
        self.threshold_ms = threshold_ms
        self._since_ms: int | None = None
        self._told_ms = 0

    def look(
        self, now_ms: int, overdue: int, unanswered: int, names: list[str], oldest_ms: int | None
    ) -> Notice | None:
        """`names` of the longest overdue, `oldest_ms` the earliest instant; -> what to say, if anything."""
        if not overdue and not unanswered:
            if self._since_ms is None:
                return None
            lasted_s, self._since_ms = (now_ms - self._since_ms) // 1000, None
            return Notice("All that was due has run again", f"Nothing is overdue any more; it lasted {lasted_s} s.")
        if self._since_ms is None:
            self._since_ms = now_ms
        elif now_ms - self._told_ms < REMIND_MS:
            return None
        self._told_ms = now_ms
        said = []
        if overdue:
            said.append(f"{overdue} schedules should have run and did not")
        if unanswered:
            said.append(f"{unanswered} attempts were emitted and have no result")
        text = f"{'; '.join(said)}."
        if oldest_ms is not None:
            text += f" The oldest is {(now_ms - oldest_ms) // 1000} s late."
        if names:
            text += f" Among them: {', '.join(names[:NAMED_MAX])}."
        return Notice("Schedules are overdue" if overdue else "Attempts have no result", text)

"""How these tests ask: instants as text in, instants as text out."""

from __future__ import annotations

from datetime import UTC, datetime

from squirrel.model.when import DstPolicy, When
from squirrel.recurrence import compile_rule, upcoming

NEW_YORK = "America/New_York"


def ms(text: str) -> int:
    """Epoch ms of an RFC 3339 text; UTC when it says no offset."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def text(instant_ms: int) -> str:
    """`2027-03-14T07:00:00` in UTC; a fraction only when there is one."""
    return datetime.fromtimestamp(instant_ms / 1000, UTC).replace(tzinfo=None).isoformat()


def runs(when: When, from_text: str, count: int, created: str = "2026-01-01T00:00:00") -> list[str]:
    """The first runs at or after an instant."""
    rule = compile_rule(when, created_ms=ms(created))
    return [text(slot_ms) for slot_ms in upcoming(rule, ms(from_text), count)]


def cron(expression: str, zone: str | None = None, gap: str | None = None, overlap: str | None = None) -> When:
    """A cron When."""
    dst = DstPolicy(gap, overlap) if gap or overlap else None
    return When(cron=expression, timezone=zone, dst=dst)

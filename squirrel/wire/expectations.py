"""What a gateway asks the watchdog, and what it hears: JSON over internal HTTP, one ask a call."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder, Encoder

STATES: Final = ("overdue", "unanswered", "coming", "ended")
LIMIT_MAX: Final = 1_000


class AskExpectations(Struct, frozen=True, kw_only=True):
    """Of one namespace. overdue: should have run and did not; unanswered: emitted without a result; coming; ended: the newest."""

    namespace: str
    state: str = "overdue"
    schedule: str | None = None
    limit: int = 50


class Expectations(Struct, frozen=True, kw_only=True):
    """`as_of_ms`: up to here the topics have been read and are judged. Counts are of the namespace, capped; items are open."""

    as_of_ms: int
    ready: bool
    overdue: int
    unanswered: int
    items: list[dict[str, Any]]


encode_ask = encode_expectations = Encoder().encode
decode_ask = Decoder(AskExpectations).decode
decode_expectations = Decoder(Expectations).decode

"""What a person made of a dead letter: a record beside the letters themselves, so that a rebuilt history knows it too."""

from __future__ import annotations

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from squirrel.wire.public import DeadLetter, decode_dead_letter

MARKS = ("discarded", "replayed", "open")


class DeadLetterMark(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`mark` tells it from a letter: discarded, replayed (as the run `replayed_as`), or open again. The newest `at_ms` counts."""

    mark: str
    run: str
    schedule_id: str
    namespace: str
    at: str
    at_ms: int
    reason: str = ""
    actor: str = ""
    replayed_as: str = ""
    retention_ms: int = 0


class _Head(Struct):
    mark: str = ""


encode_mark = Encoder().encode
decode_mark = Decoder(DeadLetterMark).decode
_decode_head = Decoder(_Head).decode


def decode_letter_record(value: bytes) -> DeadLetter | DeadLetterMark:
    """A record of the dead-letters topic. Raises ValueError or msgspec's errors."""
    if _decode_head(value).mark:
        mark: DeadLetterMark = decode_mark(value)
        return mark
    letter: DeadLetter = decode_dead_letter(value)
    return letter

"""What a gateway asks executors about their breakers: msgpack lists of asks and answers, over the same door as the owners'."""

from __future__ import annotations

from msgspec import MsgspecError, Struct
from msgspec.msgpack import Decoder, Encoder


class GetBreakers(Struct, frozen=True, array_like=True, tag="get_breakers"):
    """Those of a namespace that have trouble."""

    namespace: str


class CloseBreaker(Struct, frozen=True, array_like=True, tag="close_breaker"):
    """Call the host again, at once."""

    namespace: str
    name: str


class BreakerState(Struct, frozen=True, array_like=True):
    """One host as one executor sees it."""

    name: str
    host: str
    state: str  # closed, open, half_open, disabled
    since_ms: int
    failures: int
    failures_in_a_row: int
    put_off: int
    left_seconds: float
    last_error: str


class BreakerStates(Struct, frozen=True, array_like=True, tag="breakers"):
    """The answer to GetBreakers."""

    breakers: list[BreakerState]


class Closed(Struct, frozen=True, array_like=True, tag="closed"):
    """The answer to CloseBreaker: whether there was one."""

    was_open: bool


encode_asks = Encoder().encode
encode_answers = Encoder().encode
_decode_asks = Decoder(list[GetBreakers | CloseBreaker]).decode
_decode_answers = Decoder(list[BreakerStates | Closed]).decode


def decode_asks(body: bytes) -> list[GetBreakers | CloseBreaker]:
    """Raises ValueError."""
    try:
        return _decode_asks(body)
    except MsgspecError as error:
        raise ValueError(str(error)) from None


def decode_answers(body: bytes) -> list[BreakerStates | Closed]:
    """Raises ValueError."""
    try:
        return _decode_answers(body)
    except MsgspecError as error:
        raise ValueError(str(error)) from None

"""What a new owner writes into its partition of `squirrel.executions` before it reads what those before it had ordered there.

From the mark on executors know its epoch: what a former owner had on its way when it stalled or was cut off stands behind the
mark, or in front of it, where its successor reads it. It is no order: neither `decode_execution` nor that of a former release
takes it for one.
"""

from __future__ import annotations

from msgspec import MsgspecError, Struct
from msgspec.msgpack import Decoder, Encoder


class OwnerMark(Struct, gc=False, array_like=True, frozen=True, tag="owner"):
    """An owner begins: `["owner", epoch, emitted_ms]`. Key: empty; partition: the one that it owns."""

    epoch: int
    emitted_ms: int  # epoch ms, by the owner's clock


encode_owner_mark = Encoder().encode
_decode = Decoder(OwnerMark).decode


def owner_mark_of(value: bytes | None) -> OwnerMark | None:
    """None: it is none."""
    try:
        return _decode(value or b"")
    except (MsgspecError, ValueError, RecursionError):
        return None

"""`POST /api/v1/schedules:batch`: the items apart, so that one bad item spoils nothing."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from squirrel.model.errors import Refused
from squirrel.model.limits import BATCH_ITEMS_MAX, BODY_BYTES_MAX
from squirrel.wire.documents.json_text import NotJson, visible


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    schedules: list[msgspec.Raw]


_decode = msgspec.json.Decoder(_Batch).decode


def parse_batch(body: bytes) -> list[bytes]:
    """The bytes of each item, in order, unread: `parse_schedule` takes them one by one. Raises NotJson or Refused."""
    if len(body) > BODY_BYTES_MAX:
        raise Refused.one("body", f"has {len(body)} bytes, the limit is {BODY_BYTES_MAX}; send less", code="too_large")
    try:
        items = [bytes(raw) for raw in _decode(body).schedules]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        items = _second_look(body)
    if not 1 <= len(items) <= BATCH_ITEMS_MAX:
        raise Refused.one(
            "schedules", f"must hold 1 to {BATCH_ITEMS_MAX} schedules, holds {len(items)}; split the batch"
        )
    return items


def _second_look(body: bytes) -> list[bytes]:
    """Names what is wrong; takes apart what only one item's text spoils (a lone surrogate), so that item alone is refused."""
    try:
        value: Any = json.loads(body.decode())
    except UnicodeDecodeError as error:
        raise NotJson(f"is not UTF-8: byte {error.start} cannot be read; encode the document as UTF-8") from None
    except RecursionError:
        raise Refused.one("body", "is nested too deep; flatten it") from None
    except ValueError as error:
        raise NotJson(f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refused.one("body", 'must be an object such as {"schedules": [...]}')
    for key in value:
        if key != "schedules":
            raise Refused.one(visible(key), "is no known field; a batch holds schedules only")
    if not isinstance(value.get("schedules"), list):
        raise Refused.one("schedules", "must be a list of schedules")
    return [json.dumps(item).encode() for item in value["schedules"]]

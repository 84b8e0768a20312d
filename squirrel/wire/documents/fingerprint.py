"""One hash for one content: what makes "the same id with the same content" a repeat and not a conflict."""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Any

import msgspec
import orjson
from msgspec.structs import replace

from squirrel.model.schedule import Spec

_LONG_NUMBER = re.compile(rb"\d{16}")  # beyond what a double tells apart
_encode = msgspec.msgpack.Encoder().encode


def fingerprint_of(spec: Spec) -> str:
    """32 hex digits of the content; the order of keys and blanks inside message and metadata do not matter."""
    canonical = replace(spec, message=_canonical(spec.message), metadata=_canonical(spec.metadata))
    return blake2b(_encode(canonical), digest_size=16).hexdigest()


def _canonical(raw: bytes) -> bytes:
    if raw in (b"null", b"{}"):
        return raw
    if _LONG_NUMBER.search(raw) is not None:
        # Digits are compared as text: as numbers, neighbours beyond 2 ** 53 would be one.
        value: Any = json.loads(raw, parse_int=_digits, parse_float=_digits)
        return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS)


def _digits(text: str) -> list[str]:
    return ["number", text]

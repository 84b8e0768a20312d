"""Standard Webhooks 1.0.0, symmetric: `v1,<base64 HMAC-SHA256 of id.timestamp.body>`, one signature per active key.

Source: the specification and its test vector, see reference/reliability.md 3.2. While a key is rotated both are active, and a
receiver accepts either; the header lists the newest first.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from typing import Final

from squirrel.model.errors import Refused

SECRET_PREFIX: Final = "whsec_"
KEY_BYTES_MIN: Final = 24  # the specification's bounds
KEY_BYTES_MAX: Final = 64
KEYS_MAX: Final = 4  # active at once; each costs every call a signature and every receiver a comparison


def parse_secret(text: str, field: str = "signing.secret") -> bytes:
    """`whsec_` + base64 -> key bytes. Raises Refused naming `field`, never quoting the secret."""
    if not text.startswith(SECRET_PREFIX):
        raise Refused.one(field, f"must begin with {SECRET_PREFIX}")
    encoded = text[len(SECRET_PREFIX) :]
    try:
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Refused.one(field, f"must be {SECRET_PREFIX} followed by base64") from None
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise Refused.one(field, f"must hold {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random bytes, holds {len(key)}")
    return key


def parse_secrets(texts: list[str] | tuple[str, ...], field: str = "signing.secrets") -> tuple[bytes, ...]:
    """Several active secrets, newest first. Raises Refused."""
    if len(texts) > KEYS_MAX:
        raise Refused.one(field, f"holds {len(texts)} secrets; at most {KEYS_MAX} may be active, retire the oldest")
    return tuple(parse_secret(text, f"{field}[{index}]") for index, text in enumerate(texts))


def signatures(keys: tuple[bytes, ...], message_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: one `v1,…` per key, separated by spaces. `message_id` must hold no dot."""
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp_s, body)
    return " ".join(
        "v1," + binascii.b2a_base64(hmac.digest(key, signed, "sha256"), newline=False).decode() for key in keys
    )

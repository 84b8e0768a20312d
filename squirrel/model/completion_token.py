"""The token with which an asynchronous target completes its run: signed, bound to one attempt, and all that a gateway needs.

`sqc1.<claim>.<mac>`, both base64url: the claim is namespace, schedule, run and attempt; the mac is HMAC-SHA256 over it with a key
derived from the installation's secret. It opens nothing but `:complete` and `:heartbeat` of that attempt.
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

HEADER: Final = "squirrel-completion-token"
_PREFIX: Final = "sqc1"
_TOKEN: Final = re.compile(r"[A-Za-z0-9]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_CHARS_MAX: Final = 2048  # namespace, id and run are bounded; a longer one is an attack on the parser
_PURPOSE: Final = b"squirrel completion token 1"


class Claim(NamedTuple):
    """Which attempt a token is for."""

    namespace: str
    schedule: str
    run: str
    attempt: int


def completion_key(secret: str) -> bytes | None:
    """The key that an installation's secret stands for; None without one."""
    return hmac.digest(secret.encode(), _PURPOSE, "sha256") if secret else None


def sign_claim(key: bytes, claim: Claim) -> str:
    """The token of an attempt."""
    text = "\0".join((claim.namespace, claim.schedule, claim.run, str(claim.attempt))).encode()
    return f"{_PREFIX}.{_encoded(text)}.{_encoded(hmac.digest(key, text, 'sha256'))}"


def read_claim(key: bytes | None, token: str) -> Claim | None:
    """What a token is for, or None for one that this installation has not made."""
    prefix, _, rest = token.partition(".")
    encoded, _, mac = rest.partition(".")
    if key is None or prefix != _PREFIX or len(token) > _CHARS_MAX or _TOKEN.fullmatch(token) is None:
        return None
    try:
        text, given = _decoded(encoded), _decoded(mac)
    except (binascii.Error, ValueError):
        return None
    if not hmac.compare_digest(hmac.digest(key, text, "sha256"), given):
        return None
    namespace, schedule, run, attempt = text.decode().split("\0")
    return Claim(namespace, schedule, run, int(attempt))


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))

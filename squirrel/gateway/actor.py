"""Who calls, as far as a call says so: a name for people, the credential's fingerprint, the address. Cleaned for logs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Final

from starlette.types import Scope

ACTOR_CHARS_MAX: Final = 255
ACTOR_HEADERS: Final = (b"x-user", b"x-actor")
FINGERPRINT_CHARS: Final = 12  # 48 bits tell an installation's tokens apart and give nothing away
ANONYMOUS: Final = "anonymous"


def actor_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """What `X-User` (or `X-Actor`) says, else the credential's fingerprint, else `anonymous`. A claim, not a proof."""
    found = dict(headers)
    return _named(found) or fingerprint(found.get(b"authorization")) or ANONYMOUS


def named_actor(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """What `X-User` (or `X-Actor`) says; empty when nobody is named."""
    return _named(dict(headers))


def _named(found: dict[bytes, bytes]) -> str:
    for name in ACTOR_HEADERS:
        if said := cleaned(found.get(name, b"").decode("latin-1")):
            return said
    return ""


@lru_cache(maxsize=256)  # one for each token that is in use
def fingerprint(authorization: bytes | None) -> str:
    """`token:` and the beginning of the credential's SHA-256; empty without one."""
    given = authorization or b""
    if given[:7].lower() == b"bearer ":
        given = given[7:].strip()
    return f"token:{sha256(given).hexdigest()[:FINGERPRINT_CHARS]}" if given else ""


def address_of(scope: Scope) -> str:
    """The peer of the connection. A proxy's own address when there is one: its headers are anybody's word."""
    client = scope.get("client")
    return cleaned(str(client[0])) if client else ""


def cleaned(text: str) -> str:
    """One line of at most ACTOR_CHARS_MAX printable characters: nobody writes a second line into a log."""
    text = text.strip()[:ACTOR_CHARS_MAX]
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)

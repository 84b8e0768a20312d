"""Secrets at rest: AES-256-GCM, the first key seals, every key opens, and each sealed text names its key.

A sealed text is `<key id>.<base64url of nonce and ciphertext>`. It is bound to a place (a namespace, a secret's name), so a copy
of it opens nowhere else. Sealing is deterministic: the nonce is an HMAC of place and text under a key of its own, so the same
secret in the same place is the same sealed text and an identical create stays a repeat; what leaks is that two are equal.
Source: NIST SP 800-38D (a nonce never serves two texts: here only if HMAC-SHA-256 collides on 96 bits), reliability.md 3.3.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from squirrel.model.errors import Refused, SquirrelError

KEY_BYTES: Final = 32
KEYS_MAX: Final = 8  # one seals; the rest wait until nothing they sealed is left
NONCE_BYTES: Final = 12
OPENED_KEPT_MAX: Final = 4096  # texts held open in memory, so that a hot target costs no decryption per call
SETTING: Final = "SQUIRREL_ENCRYPTION_KEYS"


class NoKey(SquirrelError):
    """Nothing can be sealed: no key is configured."""


class CannotOpen(SquirrelError):
    """A sealed text is of a key we do not have, of another place, or damaged. The message says which key, never the text."""


class _Key:
    __slots__ = ("cipher", "id", "nonces")

    def __init__(self, secret: bytes) -> None:
        self.id = blake2b(secret, digest_size=4, person=b"squirrel-key-id").hexdigest()
        self.cipher = AESGCM(secret)
        self.nonces = hmac.digest(secret, b"squirrel nonces", "sha256")


class Vault:
    """Built once from the setting; immutable. `places` are namespaces, or a namespace with a secret's name."""

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._keys = [_Key(each) for each in keys]
        self._by_id = {key.id: key for key in self._keys}
        self._opened = lru_cache(OPENED_KEPT_MAX)(self._open)

    def __repr__(self) -> str:
        return f"Vault({len(self._keys)} keys)"

    @property
    def can_seal(self) -> bool:
        """Whether there is a key at all."""
        return bool(self._keys)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """What stands in front of sealed texts, the sealing key first; no secret."""
        return tuple(key.id for key in self._keys)

    def seal(self, text: str, place: str) -> str:
        """`text` for storage. Raises NoKey."""
        if not self._keys:
            raise NoKey(f"no encryption key is configured; set {SETTING}")
        key, plain, bound = self._keys[0], text.encode("utf-8", "surrogatepass"), place.encode()
        nonce = hmac.digest(key.nonces, len(bound).to_bytes(4, "big") + bound + plain, "sha256")[:NONCE_BYTES]
        return f"{key.id}.{urlsafe_b64encode(nonce + key.cipher.encrypt(nonce, plain, bound)).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """What `seal` was given. Raises CannotOpen."""
        return self._opened(sealed, place)

    def _open(self, sealed: str, place: str) -> str:
        key_id, _, encoded = sealed.partition(".")
        key = self._by_id.get(key_id)
        if key is None:
            raise CannotOpen(f"it was sealed with the key {key_id[:16]!r}, which {SETTING} does not hold")
        try:
            raw = b64decode(encoded, altchars=b"-_", validate=True)
            return key.cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.encode()).decode(
                "utf-8", "surrogatepass"
            )
        except (InvalidTag, ValueError, binascii.Error):
            raise CannotOpen("it is damaged, or was sealed for another place") from None


def parse_keys(texts: Iterable[str], field: str = "encryption_keys") -> tuple[bytes, ...]:
    """Base64 texts of 32 bytes each, the sealing key first. Raises Refused naming `field`, never quoting a key."""
    keys: list[bytes] = []
    for index, text in enumerate(texts):
        try:
            key = b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
        except (ValueError, binascii.Error):
            key = b""
        if len(key) != KEY_BYTES:
            raise Refused.one(
                f"{field}[{index}]",
                f"must be base64 of {KEY_BYTES} random bytes; make one with: openssl rand -base64 32",
            )
        keys.append(key)
    if len(keys) > KEYS_MAX or len(set(keys)) < len(keys):
        raise Refused.one(field, f"holds {len(keys)} keys; at most {KEYS_MAX} different ones may be active")
    return tuple(keys)

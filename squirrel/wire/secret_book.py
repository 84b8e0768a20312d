"""Named secrets on the definitions topic, under `ns/secret/<name>`: sealed, with the one before during a rotation."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from squirrel.wire.route_book import Definitions

KIND: Final = "secret"
ROTATION_SECONDS_MAX: Final = 30 * 86_400


class SealedValue(Struct, frozen=True, omit_defaults=True):
    """One value; `until_ms` is when a replaced one stops being used."""

    sealed: str
    until_ms: int | None = None


class StoredSecret(Struct, frozen=True, omit_defaults=True):
    """A named secret. `values`: newest first, at most two."""

    name: str
    values: list[SealedValue]
    description: str = ""
    created_ms: int = 0
    updated_ms: int = 0


encode_secret = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(StoredSecret).decode


def secret_key(namespace: str, name: str) -> str:
    """The key on the definitions topic."""
    return f"{namespace}/{KIND}/{name}"


def secret_place(namespace: str, name: str) -> str:
    """What its sealed text is bound to."""
    return f"{namespace}/{KIND}/{name}"


class SecretBook:
    """All named secrets as of the newest definitions; values stay sealed."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def get(self, namespace: str, name: str) -> StoredSecret | None:
        """None too for a record that is not ours."""
        value = self._definitions.values.get(secret_key(namespace, name).encode())
        return None if value is None else _read(value)

    def all(self, namespace: str) -> list[StoredSecret]:
        """By name."""
        prefix = secret_key(namespace, "").encode()
        keys = sorted(key for key in self._definitions.values if key.startswith(prefix))
        found = (_read(self._definitions.values[key]) for key in keys)
        return [each for each in found if each is not None]


def _read(value: bytes) -> StoredSecret | None:
    try:
        found = _decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found if found.values else None

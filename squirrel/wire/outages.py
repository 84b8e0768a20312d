"""Long outages on the definitions topic, under `ns/breaker/<name>`: since when a host fails, and that it was given up."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from squirrel.wire.route_book import Definitions

KIND: Final = "breaker"


class Outage(Struct, frozen=True, omit_defaults=True):
    """A host without a success since `since_ms`; disabled from `disabled_ms` on until somebody closes its breaker."""

    host: str
    since_ms: int
    disabled_ms: int | None = None


outage_value = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Outage).decode


def breaker_name(host: str) -> str:
    """A host as a path segment: `https:hooks.example.com`, without the slashes."""
    return host.replace("://", ":").replace("/", "_")


def outage_key(namespace: str, host: str) -> str:
    """The key on the definitions topic."""
    return f"{namespace}/{KIND}/{breaker_name(host)}"


class OutageBook:
    """All of them as of the newest definitions."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def all(self) -> dict[tuple[str, str], Outage]:
        """(namespace, host) -> the outage."""
        found = {}
        for key, value in self._definitions.values.items():
            namespace, _, rest = key.partition(b"/")
            if rest.startswith(b"breaker/"):
                try:
                    outage = _decode(value)
                except (msgspec.MsgspecError, ValueError):
                    continue
                found[namespace.decode("utf-8", "replace"), outage.host] = outage
        return found

    def of(self, namespace: str) -> list[Outage]:
        """Those of one namespace."""
        return [outage for (owner, _), outage in self.all().items() if owner == namespace]

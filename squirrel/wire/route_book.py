"""Routes by namespace, from the records of the definitions topic: read from the tail, parsed once, answered from memory.

Gateway, intake and engine each follow the topic and ask a book of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final, Protocol

from squirrel.model.errors import Refused
from squirrel.model.target import Route
from squirrel.wire.documents import RouteTable
from squirrel.wire.documents.route import read_route_value

DEFINITIONS_PARTITION: Final = 0  # the topic has one: definitions are few, and their order matters
ROUTES_MAX: Final = 10_000  # per namespace; a look-up walks the patterns among them
_KIND: Final = "route"
log = logging.getLogger(__name__)


class Definitions(Protocol):
    """The compacted definitions topic, followed; `streams.tail.DefinitionsTail` is one."""

    @property
    def values(self) -> Mapping[bytes, bytes]:
        """The newest value of each key, tombstones left out."""
        ...

    @property
    def next_offset(self) -> int:
        """Grows after every change of `values`."""
        ...

    async def ready(self) -> None:
        """Returns once all that stood in the topic at the start is in `values`; the caller bounds the wait."""
        ...

    async def reached(self, offset: int) -> None:
        """Returns once the record at `offset` is in `values`; the caller bounds the wait."""
        ...


def route_key(namespace: str, pattern: str) -> str:
    """`ns/route/pattern`: the key on the definitions topic."""
    return f"{namespace}/{_KIND}/{pattern}"


class RouteBook:
    """All routes as of the newest definitions."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._followed: int | None = None
        self._parsed: dict[str, tuple[bytes, Route | None]] = {}
        self._routes: dict[str, dict[str, Route]] = {}
        self._tables: dict[str, RouteTable] = {}

    def best(self, namespace: str, event: str) -> Route | None:
        """The route that an event takes, or None."""
        self._follow()
        table = self._tables.get(namespace)
        if table is None:
            table = self._tables[namespace] = RouteTable(self._routes.get(namespace, {}).values())
        return table.best(event)

    def matches(self, namespace: str, event: str) -> bool:
        """Whether any route takes this event."""
        return self.best(namespace, event) is not None

    def get(self, namespace: str, pattern: str) -> Route | None:
        """The route with exactly this pattern."""
        self._follow()
        return self._routes.get(namespace, {}).get(pattern)

    def all(self, namespace: str) -> list[Route]:
        """The routes of a namespace, by pattern."""
        self._follow()
        routes = self._routes.get(namespace, {})
        return [routes[pattern] for pattern in sorted(routes)]

    def _follow(self) -> None:
        if self._followed == self._definitions.next_offset:
            return
        self._followed = self._definitions.next_offset
        parsed: dict[str, tuple[bytes, Route | None]] = {}
        routes: dict[str, dict[str, Route]] = {}
        for name, value in self._definitions.values.items():
            key = name.decode("utf-8", "replace")
            namespace, _, rest = key.partition("/")
            kind, _, pattern = rest.partition("/")
            if kind != _KIND:
                continue
            known = self._parsed.get(key)
            parsed[key] = known if known is not None and known[0] == value else (value, _read(key, value))
            route = parsed[key][1]
            if route is not None:
                routes.setdefault(namespace, {})[pattern] = route
        self._parsed, self._routes, self._tables = parsed, routes, {}


def _read(key: str, value: bytes) -> Route | None:
    try:
        return read_route_value(value)
    except Refused as refused:
        log.error("the definition %s cannot be read and is left out: %s", key, refused)
        return None

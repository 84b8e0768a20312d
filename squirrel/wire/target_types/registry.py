"""The target types of this process: ours, and those of installed packages through entry points.

A plugin that cannot be loaded is left out with one line in the log; it never stops a service. Gateway, intake and executor must
have the same plugins installed: the executor fails a call of a type that it does not have, with that sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from squirrel.wire.target_types.amazon import AMAZON_TYPES
from squirrel.wire.target_types.google import PUBSUB
from squirrel.wire.target_types.kind import TargetType
from squirrel.wire.target_types.mail import EMAIL
from squirrel.wire.target_types.messengers import APPRISE, SLACK
from squirrel.wire.target_types.redis_stream import REDIS_STREAM
from squirrel.wire.target_types.workflow import WORKFLOW

TARGETS_GROUP: Final = "squirrel.targets"
NOTIFIERS_GROUP: Final = "squirrel.notifiers"
BUILT_IN: Final = ("http", "kafka")  # have nouns of their own, see wire/documents/target.py
OURS: Final = (SLACK, EMAIL, APPRISE, *AMAZON_TYPES, PUBSUB, REDIS_STREAM, WORKFLOW)
log = logging.getLogger(__name__)


class TargetTypes:
    """Types by name. The first of a name wins, so a plugin cannot take over a type of ours."""

    def __init__(self, types: Iterable[TargetType] = OURS) -> None:
        self._by_kind: dict[str, TargetType] = {}
        for each in types:
            self.add(each)

    def add(self, found: TargetType) -> bool:
        """Whether it was taken."""
        if found.kind in self._by_kind or found.kind in BUILT_IN:
            return False
        self._by_kind[found.kind] = found
        return True

    def get(self, kind: object) -> TargetType | None:
        """The type of this name."""
        return self._by_kind.get(kind) if isinstance(kind, str) else None

    def __iter__(self) -> Iterator[TargetType]:
        return iter(self._by_kind.values())

    @property
    def kinds(self) -> tuple[str, ...]:
        """All names, ours first."""
        return tuple(self._by_kind)


def types_in(points: Iterable[EntryPoint]) -> Iterator[TargetType]:
    """What the entry points name: a `TargetType`, or several in a list."""
    for point in points:
        try:
            found = point.load()
        except Exception as error:  # noqa: BLE001 - somebody else's package must not stop ours
            log.error("the target type %s of %s cannot be loaded: %s", point.name, point.value, error)
            continue
        for each in found if isinstance(found, (list, tuple)) else (found,):
            if isinstance(each, TargetType):
                yield each
            else:
                log.error("%s names no squirrel.wire.target_types.TargetType", point.value)


@lru_cache(maxsize=1)
def installed_types() -> TargetTypes:
    """For schedules and routes: ours, and those of `squirrel.targets`. Read once per process."""
    made = TargetTypes()
    for each in types_in(entry_points(group=TARGETS_GROUP)):
        if not made.add(each):
            log.error("the target type %s is taken; its plugin is left out", each.kind)
    return made


@lru_cache(maxsize=1)
def installed_notifiers() -> TargetTypes:
    """For notifications: every type of schedules, and those of `squirrel.notifiers`."""
    made = TargetTypes(installed_types())
    for each in types_in(entry_points(group=NOTIFIERS_GROUP)):
        made.add(each)
    return made

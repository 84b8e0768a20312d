"""What `apply` would change: the file's schedules and routes against the server's. Pure; `apply` carries it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from squirrel.model.errors import SettingsError
from squirrel.model.instants import InstantError, parse_instant

HIDDEN: Final = "***"  # what the server shows instead of a secret header; it keeps the secret when it is sent back
TAG_PREFIX: Final = "set:"  # which schedules a file owns, so that pruning never touches any other
ITEMS_MAX: Final = 100_000
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that was read and is whole."""

    name: str
    schedules: Mapping[str, Document]
    routes: Mapping[str, Document]

    @property
    def tag(self) -> str:
        return TAG_PREFIX + self.name


@dataclass(frozen=True, slots=True)
class Change:
    """One step: what is done to which schedule or route, and the fields that differ (dotted: before, after)."""

    action: Literal["create", "update", "delete"]
    kind: Literal["schedule", "route"]
    id: str
    document: Document = field(default_factory=dict)
    differs: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


def wanted_of(document: object, default_name: str) -> Wanted:
    """Reads `set`, `schedules` (a list with ids) and `routes` (by pattern). Raises SettingsError naming the place."""
    if not isinstance(document, dict) or document.keys() - {"set", "schedules", "routes"}:
        raise SettingsError("the file may hold set, schedules and routes, and nothing else")
    name = document.get("set") or default_name
    listed = document.get("schedules") or []
    routes = document.get("routes") or {}
    if not isinstance(name, str) or not isinstance(listed, list) or not isinstance(routes, dict):
        raise SettingsError("set must be a text, schedules a list, routes a mapping of pattern to route")
    if len(listed) + len(routes) > ITEMS_MAX:
        raise SettingsError(f"the file holds more than {ITEMS_MAX} items; split it")
    schedules: dict[str, Document] = {}
    for at, each in enumerate(listed):
        where = f"schedules[{at}]"
        if not isinstance(each, dict) or not isinstance(each.get("id"), str):
            raise SettingsError(f"{where} needs an id: that is how the next apply finds it again")
        if each["id"] in schedules:
            raise SettingsError(f"{where}: the id {each['id']} stands twice")
        if isinstance(each.get("when"), dict) and "in_seconds" in each["when"]:
            raise SettingsError(f"{where}.when.in_seconds would mean something else at each apply; write at")
        schedules[each["id"]] = whole(each, [TAG_PREFIX + name])
    return Wanted(name, schedules, {str(pattern): whole(route or {}, []) for pattern, route in routes.items()})


def whole(document: Mapping[str, Any], tags: Iterable[str]) -> Document:
    """A target that is a text is a webhook's URL; the tags are added."""
    made = dict(document)
    if isinstance(made.get("target"), str):
        made["target"] = {"type": "http", "url": made["target"]}
    added = [*(made.get("tags") or []), *tags]
    return {**made, "tags": list(dict.fromkeys(added))} if added else made


def plan(wanted: Wanted, have: Mapping[str, Document], routes: Mapping[str, Document], *, prune: bool) -> list[Change]:
    """What has to be done, in order: routes, creates and updates, then deletes of what the file no longer names.

    `have`: schedules by id, those the file names and those that carry its tag.
    """
    changes = [
        *_changes("route", {key: _WHOLE_ROUTE | each for key, each in wanted.routes.items()}, routes, frozenset()),
        *_changes("schedule", wanted.schedules, have, frozenset({"id", "group"})),
    ]
    if prune:
        owned = {
            key for key, each in have.items() if wanted.tag in each.get("tags", ()) and each.get("state") not in _OVER
        }
        changes += [Change("delete", "schedule", key) for key in sorted(owned - wanted.schedules.keys())]
    return changes


_OVER: Final = frozenset({"cancelled", "finished"})
_WHOLE_ROUTE: Final[Document] = {
    "retry": None,
    "fallback": [],
    "flow": None,
}  # a route is what the file says, and no more


def _changes(
    kind: Literal["schedule", "route"],
    wanted: Mapping[str, Document],
    have: Mapping[str, Document],
    fixed: frozenset[str],
) -> list[Change]:
    found = []
    for key, document in wanted.items():
        current = have.get(key)
        if current is None:
            found.append(Change("create", kind, key, document))
        elif differs := _revived(current) | differences(document, current):
            sent = {name: value for name, value in document.items() if name not in fixed}
            found.append(Change("update", kind, key, sent, differs))
    return found


def _revived(current: Document) -> dict[str, tuple[Any, Any]]:
    """A cancelled schedule is not what the file asks for; whether it can live again is the server's to say."""
    return {"state": ("cancelled", "active")} if current.get("state") == "cancelled" else {}


def differences(wanted: Any, current: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Where `current` is not what `wanted` says; what `wanted` leaves out is the server's business."""
    if isinstance(wanted, dict) and isinstance(current, dict):
        found: dict[str, tuple[Any, Any]] = {}
        given = {str(name).lower(): value for name, value in current.items()} if path.endswith("headers") else current
        for name, value in wanted.items():
            at = f"{path}.{name}" if path else str(name)
            key = str(name).lower() if path.endswith("headers") else name
            found |= differences(value, given.get(key), at)
        return found
    if isinstance(wanted, list) and isinstance(current, list) and len(wanted) == len(current):
        pairs = enumerate(zip(wanted, current, strict=True))
        return {name: both for at, (a, b) in pairs for name, both in differences(a, b, f"{path}[{at}]").items()}
    return {} if _same(wanted, current) else {path: (current, wanted)}


def _same(wanted: Any, current: Any) -> bool:
    if current in (wanted, HIDDEN):
        return True
    if isinstance(wanted, str) and isinstance(current, str):
        try:
            return parse_instant(wanted) == parse_instant(current)
        except InstantError:
            return False
    return wanted in (None, "", [], {}) and current in (None, "", [], {})

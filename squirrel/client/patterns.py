"""Event patterns, with the meaning they have in routes."""

from __future__ import annotations


def matches(pattern: str, event: str) -> bool:
    """Whether `event` falls under `pattern`: `*` is one segment between dots, at the end one or more."""
    wanted, given = pattern.split("."), event.split(".")
    if len(given) < len(wanted) or (len(given) > len(wanted) and wanted[-1] != "*"):
        return False
    return all(part in ("*", actual) for part, actual in zip(wanted, given, strict=False))

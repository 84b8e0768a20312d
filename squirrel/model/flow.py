"""Flow limits: how many calls may begin in a second, and how many may be under way, over everything that shares a key."""

from __future__ import annotations

from msgspec import Struct


class Flow(Struct, gc=False, frozen=True, array_like=True):
    """At least one of the two limits is set. The key belongs to the namespace."""

    key: str
    rate_per_second: float | None = None
    parallelism: int | None = None


def flow_group(key: str) -> str:
    """The group of all schedules of one flow: they share a partition, so its one owner can count them exactly."""
    return f"flow:{key}"

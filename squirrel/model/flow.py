"""Flow limits: how many calls may begin in a second, and how many may be under way, over everything that shares a key."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

_PREFIX: Final = "flow:"


class Flow(Struct, gc=False, frozen=True, array_like=True):
    """At least one of the two limits is set. The key belongs to the namespace."""

    key: str
    rate_per_second: float | None = None
    parallelism: int | None = None


def flow_group(key: str) -> str:
    """The group of all schedules of one flow: they share a partition, so its one owner can count them exactly."""
    return f"{_PREFIX}{key}"


def is_flow_group(group: str) -> bool:
    """Whether a group is there for its flow's sake: its members share a partition, and promise no order."""
    return group.startswith(_PREFIX)

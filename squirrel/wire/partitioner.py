"""The one partitioner: a record's own partition is never trusted, it is computed from (namespace, group or id)."""

from __future__ import annotations

from squirrel.model.ids import key_hash


def partition_of(namespace: str, schedule_id: str, partitions: int) -> int:
    """The partition that owns a schedule, out of `partitions` (fixed at installation)."""
    return key_hash(namespace, schedule_id) % partitions

"""What a service hands to `streams/`: its lanes, the owner of its partitions, and the settings of its consumer group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from squirrel.model.clock import Clock
from squirrel.model.limits import MIB

BATCH_RECORDS_MAX_DEFAULT: Final = (
    2000  # handed to a lane at once; 5000 is no faster and holds 110 MB more over 8 partitions
)
BUFFER_BATCHES_MAX: Final = 2  # per topic and partition; a fuller one is left out of the next fetch
BUFFER_BYTES_MAX: Final = 8 * MIB  # per topic and partition, whatever the number of records
PARTITION_FETCH_BYTES: Final = MIB  # what one fetch may add to one buffer (a larger record comes alone)
COMMIT_SECONDS_DEFAULT: Final = 0.5
REVOKE_SECONDS_MAX: Final = 20.0  # all of `on_revoked` and the last commit; the group waits 30 s for a member to rejoin


class TopicPartition(NamedTuple):
    """A topic and a partition number."""

    topic: str
    partition: int


# async handler(topic, partition, records): records are aiokafka's ConsumerRecord (offset, key, value, headers, timestamp),
# in order and without a hole, never empty. When it returns (auto_mark) its records are done: their offset is committed soon.
# It is not called for two batches of one partition number at once, over all topics of the group. Raising ends the process.
Lane = Callable[[str, int, Sequence[Any]], Awaitable[None]]


class PartitionOwner(Protocol):
    """Told about the partitions of this member. Every method may take its time except where it says so; raising is fatal.

    Between `on_revoked` and the next `on_assigned` or `on_retained` no lane is called for that partition.
    """

    async def on_assigned(self, partition: int, epoch: int) -> None:
        """New to this member: open and recover its state. Awaited in the background, before its records flow.

        Cancelled when the partition is revoked meanwhile; then `on_lost` follows. `epoch` is the group's generation.
        """
        ...

    async def on_revoked(self, partition: int) -> None:
        """Finish what is in flight and start nothing more; state stays open. Awaited before the group moves on."""
        ...

    async def on_retained(self, partition: int, epoch: int) -> None:
        """The same partition came straight back (nobody else had it in between): go on where `on_revoked` stopped.

        Its lanes continue behind the last record they were handed, not behind the last one committed.
        """
        ...

    async def on_lost(self, partition: int) -> None:
        """It belongs to someone else now, or the process ends: close its state. Follows `on_revoked` or a cut `on_assigned`."""
        ...


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """One service's membership in one consumer group.

    Sessions: a member that is killed is noticed after `session_seconds`. `instance_id` (group.instance.id) makes a restart
    within that time cause no rebalance; it must be unique in the group. `url` is told to the group, for `owners()`.
    `held` are partitions whose state is on this disk: they are preferred when the group is balanced.
    `leave_on_stop`: a stop gives the partitions away at once, also those of a static member; else they wait for its return.
    `on_follow(partitions)`: this member keeps standby copies, and is told of which after each rebalance; None: it keeps none.
    `starved_seconds`: the process ends when for so long records stood in the log and the consumer brought none.
    `refuse_gaps`: a partition whose log does not hold what the group has not read yet (recreated, or retention) ends the process.
    `auto_mark` False: the owner calls `app.mark` itself. `on_fatal` must end the process; it is called once.
    """

    group: str
    brokers: str
    client_id: str
    lanes: Mapping[str, Lane]
    datadir: Path
    clock: Clock
    on_fatal: Callable[[BaseException], None]
    owner: PartitionOwner | None = None
    url: str = ""
    instance_id: str | None = None
    held: tuple[int, ...] = ()
    auto_mark: bool = True
    leave_on_stop: bool = True
    on_follow: Callable[[frozenset[int]], None] | None = None
    starved_seconds: float = 30.0
    refuse_gaps: bool = False
    session_seconds: float = 10.0
    heartbeat_seconds: float = 2.0
    rebalance_seconds: float = 30.0
    commit_seconds: float = COMMIT_SECONDS_DEFAULT
    fetch_wait_ms: int = 50
    bare_records: bool = False  # lanes are handed records without topic and partition (`lean_consumer.py`), for speed
    fetch_bytes_min: int = 1  # a broker answers below it only after `fetch_wait_ms`: for stages that nobody waits for
    batch_records_max: int = BATCH_RECORDS_MAX_DEFAULT


class Committed(NamedTuple):
    """The group's committed offset (the next record to read; None: nothing committed) and its metadata."""

    offset: int | None
    metadata: str

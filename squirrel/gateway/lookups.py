"""Reading schedules from their owners: one by id, or the schedule that a run belongs to."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from squirrel.gateway.owner_link import OwnerLink
from squirrel.gateway.problems import Answered
from squirrel.model.errors import Unavailable
from squirrel.model.schedule import Row, State, decode_row
from squirrel.wire.owner_link import Answer, FindRun, Found, Get
from squirrel.wire.partitioner import partition_of


class Located(NamedTuple):
    """A schedule's row and the partition that holds it."""

    row: Row
    partition: int


class Lookups:
    """Asks the owners; all methods raise Unavailable when a partition that matters has none."""

    def __init__(self, link: OwnerLink, partitions: int) -> None:
        self._link = link
        self._partitions = partitions

    def home(self, namespace: str, key: str) -> int:
        """Where the schedule (or the group) `key` belongs."""
        return partition_of(namespace, key, self._partitions)

    async def find(self, namespace: str, schedule_id: str) -> Located | None:
        """A schedule by id.

        One in a group lives where its group does, and a placeholder at home says so. The placeholder comes a moment after the
        schedule, so what home does not know is looked for everywhere before it is said not to exist.
        """
        home = self.home(namespace, schedule_id)
        row = await self._row(namespace, schedule_id, home)
        if row is not None and row.moved_to:
            home = self.home(namespace, row.moved_to)
            row = await self._row(namespace, schedule_id, home)
        if row is not None:
            return _shown(row, home)
        others = [partition for partition in range(self._partitions) if partition != home]
        rows = await asyncio.gather(*(self._row(namespace, schedule_id, each) for each in others))
        found = [_shown(row, each) for each, row in zip(others, rows, strict=True) if row is not None]
        return next((each for each in found if each is not None), None)

    async def _row(self, namespace: str, schedule_id: str, partition: int) -> Row | None:
        return _row(await self._link.ask(partition, Get(partition, namespace, schedule_id)))

    async def get(self, namespace: str, schedule_id: str) -> Located:
        """As `find`. Raises Answered 404."""
        located = await self.find(namespace, schedule_id)
        if located is None:
            raise no_schedule(schedule_id)
        return located

    async def of_run(self, namespace: str, run: str) -> Row | None:
        """The schedule that has this run open or as its last."""
        for answer in await self._link.ask_all(FindRun(namespace, run)):
            if (row := _row(answer)) is not None:
                return row
        return None


def _row(answer: Answer) -> Row | None:
    if not isinstance(answer, Found):
        raise Unavailable("the engine did not answer in time; send again", 1)
    if answer.row is None:
        return None
    row: Row = decode_row(answer.row)
    return row


def _shown(row: Row, partition: int) -> Located | None:
    """Changes that wait for their create, and placeholders, are no schedules."""
    return None if row.state is State.UNKNOWN else Located(row, partition)


def no_schedule(schedule_id: str) -> Answered:
    """404 for a schedule."""
    return Answered(
        "not_found", f"there is no schedule {schedule_id} in this namespace; it may have ended and left its retention"
    )

"""One run called again: the command, and the id that the new run will have, known before the engine has heard of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from squirrel.gateway.lookups import Lookups
from squirrel.gateway.writes import Order, Writes
from squirrel.model.ids import run_id
from squirrel.model.target import Target
from squirrel.wire.owner_link import Decided
from squirrel.wire.records import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOrder:
    """What is called again. `command_id` and `accepted_ms` decide the new run's id: the same two make the same run."""

    namespace: str
    schedule_id: str
    run: str
    command_id: str
    accepted_ms: int
    actor: str = "rest"
    message: bytes | None = None
    target: Target | None = None

    @property
    def new_run(self) -> str:
        """The id of the run that takes the old one's place."""
        return run_id(self.namespace, self.schedule_id, self.accepted_ms, self.command_id)


class Replayed(NamedTuple):
    """The new run, and what its owner said; None: stored, and the news of it is late."""

    run: str
    decided: Decided | None


class Replays:
    """Sends replays. Raises Answered 404 when the schedule is gone, Unavailable when an owner or Kafka is."""

    def __init__(self, lookups: Lookups, writes: Writes) -> None:
        self._lookups = lookups
        self._writes = writes

    async def send(self, order: ReplayOrder, *, wait: bool = True) -> Replayed:
        """Appends the command and waits for its outcome."""
        located = await self._lookups.get(order.namespace, order.schedule_id)
        command = Command(
            op="replay",
            namespace=order.namespace,
            id=order.schedule_id,
            command_id=order.command_id,
            accepted_ms=order.accepted_ms,
            reply=True,
            actor=order.actor,
            run=order.run,
            message=order.message,
            target=order.target,
        )
        decided = await self._writes.send(Order(command, located.partition), wait=wait)
        return Replayed(order.new_run, decided)

"""One run called again: the command, and the id that the new run will have, known before the engine has heard of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from squirrel.gateway.letter_marks import LetterMarks
from squirrel.gateway.lookups import Lookups
from squirrel.gateway.outcomes import DONE
from squirrel.gateway.writes import Order, Writes
from squirrel.model.errors import Unavailable
from squirrel.model.ids import run_id
from squirrel.model.target import Target
from squirrel.stores.history import History
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

    def __init__(self, lookups: Lookups, writes: Writes, history: History, marks: LetterMarks) -> None:
        self._lookups = lookups
        self._writes = writes
        self._history = history
        self._marks = marks

    async def send(self, order: ReplayOrder, *, wait: bool = True, by: str = "", reason: str = "") -> Replayed:
        """Appends the command and waits for its outcome. A dead letter of the old run learns what took its place."""
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
        if decided is None or decided.code in DONE:
            with suppress(Unavailable):  # the run is made; that the letter says so too can wait for the next replay
                await self.mark(order, by=by, reason=reason)
        return Replayed(order.new_run, decided)

    async def mark(self, order: ReplayOrder, *, by: str = "", reason: str = "") -> None:
        """Notes on the old run's dead letter, if there is one, that it was called again. Raises Unavailable."""
        letter = await self._history.dead_letter(order.namespace, order.run)
        if letter is not None:
            await self._marks.write(letter, "replayed", reason=reason, actor=by, replayed_as=order.new_run)

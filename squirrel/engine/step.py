"""The engine's decisions as a pure step: rows and records in, rows and records out, time and chance as arguments.

The shell loads every row that a batch names (`keys_of`), runs one of the three functions here over it, and carries out the
`Work` in the write order: executions and other records, then the changelog, then the local store, then the commit.
"""

from __future__ import annotations

from collections.abc import Callable

from squirrel.engine import changes, children, completing, groups, runs, workflow_verbs
from squirrel.engine.ordinary import end_ordinary, fire_ordinary
from squirrel.engine.work import Work
from squirrel.model.schedule import FINAL, Releasing, Row, State
from squirrel.wire import owner_link as codes
from squirrel.wire.public import Result
from squirrel.wire.records import Command, decode_command

Change = Callable[[Work, Row, Command, int], None]
CHANGES: dict[str, Change] = {
    "update": changes.update,
    "retime": changes.update,
    "rollback": changes.update,
    "cancel": changes.cancel,
    "pause": changes.pause,
    "resume": changes.resume,
    "trigger": changes.trigger,
    "replay": changes.trigger,
    "complete": completing.complete,
    "heartbeat": completing.heartbeat,
    "workflow": workflow_verbs.asked,
}


def take_command(work: Work, command: Command, offset: int, *, parked: bool = False) -> None:
    """Apply one command; a record that was applied before changes nothing. `parked`: it waited in the row it is for."""
    row = work.row(command.namespace, command.id)
    if command.op == "place":
        groups.placed(work, row, command)
    elif row is not None and row.moved_to and command.op != "create":
        groups.forward(work, row, command)
    elif command.op == "create":
        _create(work, row, command, offset)
    elif row is None or row.state is State.UNKNOWN:
        _take_for_unknown(work, row, command, offset)
    elif command.op == "subscribe":
        children.subscribed(work, row, command)
    elif command.op == "release":
        changes.release(work, row, command)
    elif command.op == "event":
        changes.hear(work, row, command)
    elif command.op == "replan":
        changes.replan(work, row)
    elif not parked and offset <= row.command_offset and command.accepted_ms <= row.updated_ms:
        # Offsets alone would misjudge a recreated topic, instants alone a busy client.
        work.replays += 1
        work.decide(offset, command, codes.CHANGED, row)
    elif command.if_revision is not None and command.if_revision != row.revision:
        work.refuse(command, "stale_revision", "revision", f"the revision is {row.revision}")
        work.decide(offset, command, codes.STALE_REVISION, row)
    else:
        CHANGES[command.op](work, row, command, offset)


def _create(work: Work, row: Row | None, command: Command, offset: int) -> None:
    parked = row.parked if row is not None and row.state is State.UNKNOWN else []
    made = changes.create(work, row, command, offset)
    if made is not None:
        for encoded in parked:
            take_command(work, decode_command(encoded), offset, parked=True)


def _take_for_unknown(work: Work, row: Row | None, command: Command, offset: int) -> None:
    if command.park:
        changes.park(work, row, command, offset)
    elif command.op not in ("release", "event", "replan"):
        work.refuse(command, "unknown_schedule", "id", f"no schedule {command.id}")
        work.decide(offset, command, codes.NOT_FOUND)


def take_result(work: Work, result: Result) -> None:
    """Apply one result; a repeat, or one of a schedule that is gone, changes nothing."""
    row = work.row(result.namespace, result.schedule_id)
    if row is None or not (end_ordinary(work, row, result) or runs.answered(work, row, result)):
        work.replays += 1


def take_due(work: Work, row: Row) -> None:
    """A row whose wake has come: emit, tell children, give up parked changes, or leave the state."""
    if fire_ordinary(work, row):
        return
    if row.state is State.UNKNOWN:
        _give_up_parked(work, row)
    elif row.state in FINAL and not row.runs and not row.releasing and (row.expires_ms or 0) <= work.horizon_ms:
        work.drop(row)
        groups.unplace(work, row)
    else:
        runs.fire_due(work, row)


def _give_up_parked(work: Work, row: Row) -> None:
    for encoded in row.parked:
        command = decode_command(encoded)
        if command.op == "subscribe":
            told = (command.child, command.child_home)
            order = children.release_order(work, row, told, Releasing("unknown", work.now_ms))
            work.orders.append(order)
        else:
            work.refuse(command, "unknown_schedule", "id", f"no schedule {row.id} came within the waiting time")
    work.drop(row)

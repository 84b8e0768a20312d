"""Groups: schedules of one group live in the group's partition. Pure.

An id alone leads to its own partition, so a placeholder there says where the schedule went and passes on what arrives for it:
changes by id, subscriptions of children, releases by parents.
"""

from __future__ import annotations

from msgspec.structs import replace

from squirrel.engine.work import Work
from squirrel.model.schedule import Row, Spec, State
from squirrel.model.when import When
from squirrel.wire.records import Command, decode_command


def place(work: Work, row: Row) -> None:
    """Tell the id's own partition that the schedule lives with its group."""
    if row.spec.group:
        work.orders.append(_order(work, row, row.spec.group))


def unplace(work: Work, row: Row) -> None:
    """The schedule left the state: so does its placeholder."""
    if row.spec.group:
        work.orders.append(_order(work, row, ""))


def _order(work: Work, row: Row, group: str) -> Command:
    return Command(
        op="place",
        namespace=row.namespace,
        id=row.id,
        command_id=f"{row.id}/place/{group}",
        accepted_ms=work.now_ms,
        child=group,
    )


def placed(work: Work, row: Row | None, command: Command) -> None:
    """At the id's own partition: keep or remove the placeholder; what was parked for the id is passed on."""
    if row is not None and row.state is not State.UNKNOWN:
        return  # the id's own partition is the group's, or the id was taken here first
    if not command.child:
        if row is not None and row.moved_to:
            work.drop(row)
        return
    parked = row.parked if row is not None else []
    placeholder = Row(
        namespace=command.namespace,
        id=command.id,
        state=State.UNKNOWN,
        wake_ms=None,
        created_ms=command.accepted_ms,
        event="",
        tags=(),
        revision=0,
        runs=[],
        spec=Spec(event="", when=When()),
        moved_to=command.child,
    )
    work.put(placeholder)
    for encoded in parked:
        forward(work, placeholder, decode_command(encoded))


def forward(work: Work, placeholder: Row, command: Command) -> None:
    """Pass a command on to where the schedule lives. Whoever waits for its outcome reads the schedule instead."""
    work.orders.append(replace(command, home=placeholder.moved_to, reply=False))

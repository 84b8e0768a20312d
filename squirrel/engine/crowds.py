"""Who may go before a crowd, which is what one step cannot take of a namespace in the order of its instants. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from squirrel.model.flow import is_flow_group
from squirrel.model.schedule import decode_row

KeyAndRow = tuple[bytes, bytes]


def overtaking(crowd: Sequence[KeyAndRow], later: Iterable[KeyAndRow]) -> list[KeyAndRow]:
    """Those of `later` that need not wait for the crowd.

    A member of a group does: its order is promised. A schedule of a flow does not, for its turn is its flow's affair: a flow with
    a million runs due at one instant delays no other flow. Behind members of its own flow it stays.
    """
    with_groups = [(each, decode_row(each[1]).spec.group) for each in later]
    flows = {group for _, group in with_groups if group is not None and is_flow_group(group)}
    if flows:
        flows -= {decode_row(value).spec.group for _, value in crowd}
    return [each for each, group in with_groups if group is None or group in flows]

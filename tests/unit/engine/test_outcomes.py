"""Outcomes for gateways that wait: one wait serves a batch, in order, and a partition that is elsewhere says so."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from squirrel.engine.outcomes import Outcomes
from squirrel.engine.queries import answer_all
from squirrel.model.limits import OUTCOMES_BYTES_KEPT_MAX
from squirrel.wire.owner_link import CREATED, REPEATED, Await, Decided, NotMine, Undecided


async def test_asks_wait_until_their_offsets_are_applied() -> None:
    outcomes = Outcomes()
    owners: Any = {0: SimpleNamespace(outcomes=outcomes)}
    parts: Any = None  # asks for outcomes read nothing else
    asks = [Await(0, 7), Await(0, 5), Await(0, 6), Await(1, 5)]
    answering = asyncio.ensure_future(answer_all(parts, owners, list(asks)))
    outcomes.applied(5, {5: Decided(CREATED)})
    done, _ = await asyncio.wait({answering}, timeout=0.05)
    assert not done, "offset 7 is not applied yet"
    outcomes.applied(7, {7: Decided(REPEATED)})
    assert await answering == [Decided(REPEATED), Decided(CREATED), Undecided(), NotMine()]


async def test_what_is_kept_is_bounded_in_bytes() -> None:
    """Rows with all their revisions came to gigabytes when a group's offsets were set back."""
    outcomes = Outcomes()
    row = bytes(OUTCOMES_BYTES_KEPT_MAX // 4)
    for turn in range(3):
        outcomes.applied(4, {offset: Decided(CREATED, row) for offset in range(5)})
        assert [outcomes.kept(offset) is not None for offset in range(5)] == [False, True, True, True, True], turn
    outcomes.applied(9, {9: Decided(REPEATED)})
    assert outcomes.kept(9) == Decided(REPEATED)
    assert outcomes.kept(1) is not None


async def test_nobody_waits_for_a_partition_that_leaves() -> None:
    outcomes = Outcomes()
    waiting = asyncio.ensure_future(outcomes.of(3, 5.0))
    await asyncio.wait({waiting}, timeout=0.01)
    outcomes.give_up()
    assert await waiting is None

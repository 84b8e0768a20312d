"""What a cancel may say: 204 when nothing of the schedule is called any more, 202 with the run that is still on its way.

A run is emitted a moment before it is due and cannot be called back. So one that was emitted when its rule was cancelled is
waited for a little; most are over by then.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.responses import Response

from squirrel.gateway.lookups import Lookups
from squirrel.gateway.outcomes import location_of
from squirrel.gateway.run_view import open_run_document
from squirrel.model.errors import Unavailable
from squirrel.model.schedule import Row, RunState, decode_row
from squirrel.wire.documents import answer_json
from squirrel.wire.owner_link import CANCELLED, Decided

LOOKS_MS: Final = (60, 90, 150, 250, 450)  # together a second: an emission ahead of its due instant, and a quick call


async def last_calls(lookups: Lookups, decided: Decided | None) -> Response | None:
    """The 202 that names a run of the cancelled schedule that is still under way; None when there is none (any more)."""
    if decided is None or decided.code != CANCELLED or decided.row is None:
        return None
    row: Row = decode_row(decided.row)
    for wait_ms in LOOKS_MS:
        if not _under_way(row):
            return None
        await asyncio.sleep(wait_ms / 1000)
        try:
            located = await lookups.find(row.namespace, row.id)
        except Unavailable:
            break
        if located is None:
            return None
        row = located.row
    return _still_on_its_way(row) if _under_way(row) else None


def _under_way(row: Row) -> list[dict[str, Any]]:
    return [open_run_document(run, row) for run in row.runs if run.state is RunState.IN_FLIGHT]


def _still_on_its_way(row: Row) -> Response:
    runs = _under_way(row)
    told = ", ".join(each["id"] for each in runs)
    document = {
        "id": row.id,
        "accepted": True,
        "location": location_of(row.id),
        "state": str(row.state),
        "run": runs[0],
        "warnings": [f"cancelled; {told} had been emitted already: its call may still begin or go on, and is the last"],
    }
    return Response(answer_json(document), 202, {"Location": location_of(row.id)}, "application/json")

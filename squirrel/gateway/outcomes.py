"""What became of a command -> the answer that api.md promises for it."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from squirrel.gateway.lookups import no_schedule
from squirrel.gateway.problems import Answered
from squirrel.gateway.run_view import open_run_document, run_from_last
from squirrel.model.errors import Problem
from squirrel.model.schedule import Row, decode_row
from squirrel.wire import owner_link as codes
from squirrel.wire.documents import answer_json, render_schedule
from squirrel.wire.owner_link import Decided

SCHEDULES: Final = "/api/v1/schedules/"
DONE: Final = frozenset({codes.CREATED, codes.REPEATED, codes.CHANGED, codes.CANCELLED, codes.TRIGGERED})


def location_of(schedule_id: str) -> str:
    """The path of a schedule; ids hold nothing that a path must escape."""
    return SCHEDULES + quote(schedule_id, safe=":@~+=")


def etag_of(row: Row) -> str:
    """The revision, quoted."""
    return f'"{row.revision}"'


def schedule_answer(row: Row, status: int = 200, warnings: list[str] | None = None) -> Response:
    """A schedule with its ETag; a new one with its Location too."""
    headers = {"ETag": etag_of(row)}
    if status == 201:
        headers["Location"] = location_of(row.id)
    return Response(answer_json(render_schedule(row, warnings)), status, headers, "application/json")


def accepted(schedule_id: str, warnings: list[str] | None = None) -> Response:
    """202: stored in Kafka, and not known to be applied yet."""
    document: dict[str, Any] = {"id": schedule_id, "accepted": True, "location": location_of(schedule_id)}
    if warnings:
        document["warnings"] = warnings
    return Response(answer_json(document), 202, {"Location": location_of(schedule_id)}, "application/json")


def answer(schedule_id: str, decided: Decided | None, warnings: list[str] | None = None) -> Response:
    """The answer to one change. Raises Answered for what was not done."""
    if decided is None or decided.code == codes.PARKED:
        return accepted(schedule_id, warnings)
    if decided.code == codes.CANCELLED:
        return Response(status_code=204)
    if decided.code not in DONE:
        raise problem_of(schedule_id, decided)
    row = _row(decided)
    if row is None:
        return accepted(schedule_id, warnings)
    if decided.code == codes.TRIGGERED:
        return _run_answer(decided, row)
    status = 201 if decided.code in (codes.CREATED, codes.REPEATED) else 200
    if decided.detail:
        warnings = [*(warnings or ()), decided.detail]  # what a forced change did to runs that were under way
    return schedule_answer(row, status, warnings)


def _run_answer(decided: Decided, row: Row) -> Response:
    if decided.open_run is not None:
        document = open_run_document(decided.open_run, row)
    elif decided.last_run is not None:
        document = run_from_last(decided.last_run, row)
    else:
        return accepted(row.id)
    headers = {"Location": f"/api/v1/runs/{document['id']}"}
    return Response(answer_json(document), 201, headers, "application/json")


def problem_of(schedule_id: str, decided: Decided) -> Answered:
    """The problem document of an outcome that changed nothing."""
    row = _row(decided)
    if decided.code == codes.NOT_FOUND:
        return no_schedule(schedule_id)
    if decided.code == codes.CONFLICT:
        reason = "belongs to a schedule with other content"
        fix = f"send another id, or change that one with PUT {location_of(schedule_id)}"
        return Answered(
            "conflict", f"{schedule_id} {reason}; {fix}", errors=[Problem("id", f"{reason}; {fix}")], headers=_etag(row)
        )
    if decided.code == codes.TOO_LATE:
        return _too_late(schedule_id, decided, row)
    if decided.code == codes.STALE_REVISION:
        now = f"the revision is {row.revision} now" if row is not None else "the schedule has changed"
        return Answered(
            "stale_revision", f"{now}; get the schedule again and repeat the change on it", headers=_etag(row)
        )
    if decided.code == codes.REFUSED:
        field = decided.field or "body"
        return Answered("invalid", f"{field}: {decided.detail}", errors=[Problem(field, decided.detail)])
    return Answered("internal", f"the engine answered {decided.code}, which this gateway does not know")


def _too_late(schedule_id: str, decided: Decided, row: Row | None) -> Answered:
    extra: dict[str, Any] = {}
    detail = decided.detail or "its run is under way or over"
    fix = "create another schedule"
    if row is not None and decided.open_run is not None:
        extra["run"] = open_run_document(decided.open_run, row)
        fix = "?force=next changes what comes after this run, ?force=now gives up its retry; or wait for it to end"
    elif row is not None and decided.last_run is not None:
        extra["run"] = run_from_last(decided.last_run, row)
    return Answered("too_late", f"{schedule_id}: {detail}; {fix}", extra=extra, headers=_etag(row))


def _row(decided: Decided) -> Row | None:
    if decided.row is None:
        return None
    row: Row = decode_row(decided.row)
    return row


def _etag(row: Row | None) -> dict[str, str]:
    return {} if row is None else {"ETag": etag_of(row)}
